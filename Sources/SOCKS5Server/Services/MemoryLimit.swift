internal import UVLoop

/// The memory that the control groups of this process permit (cgroups(7)), versions 1 and 2.
enum MemoryLimit {
    /// - Parameter root: of the file system; for tests.
    /// - Returns: bytes; `nil` if there is no limit, or it can't be found out.
    static func ofProcess(root: String = "") -> Int? {
        let groups = lines(of: root + "/proc/self/cgroup").compactMap(Group.init)
        let mounts = lines(of: root + "/proc/self/mountinfo").compactMap(Mount.init)
        let limits = mounts.flatMap { mount in
            groups.filter { $0.isVersion2 == mount.isVersion2 }.flatMap { group in
                mount.folders(of: group.path).map { "\(root)\($0)/\(mount.file)" }
            }
        }
        // "max" and numbers too large for an integer mean no limit.
        return limits.compactMap { lines(of: $0).first.flatMap { Int($0) } }.min()
    }

    /// The process's group in a hierarchy that limits memory.
    private struct Group {
        let isVersion2: Bool
        let path: Substring

        /// `NUMBER:CONTROLLERS:PATH`, with no controllers in version 2.
        init?(_ line: Substring) {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { return nil }
            isVersion2 = parts[1].isEmpty
            guard isVersion2 || parts[1].split(separator: ",").contains("memory") else { return nil }
            path = parts[2]
        }
    }

    /// The place where such a hierarchy is mounted.
    private struct Mount {
        let isVersion2: Bool
        /// The group at the root of the mount.
        let top: Substring
        let folder: Substring

        var file: String { isVersion2 ? "memory.max" : "memory.limit_in_bytes" }

        /// `ID PARENT DEVICE ROOT FOLDER OPTIONS … - TYPE SOURCE OPTIONS` (proc(5)).
        init?(_ line: Substring) {
            let words = line.split(separator: " ")
            guard let dash = words.firstIndex(of: "-"), dash >= 6, words.count >= dash + 4 else { return nil }
            isVersion2 = words[dash + 1] == "cgroup2"
            guard isVersion2 || words[dash + 1] == "cgroup",
                isVersion2 || words[dash + 3].split(separator: ",").contains("memory")
            else { return nil }
            (top, folder) = (words[3], words[4])
        }

        /// The folders of the group and of all groups above it. In a container the path may be outside the view; then
        /// the mounted folder.
        func folders(of path: Substring) -> [Substring] {
            let prefix = top == "/" ? "" : top
            guard path == top || path.hasPrefix(prefix + "/") else { return [folder] }
            var below = path.dropFirst(prefix.count)
            var folders = [folder]
            while let slash = below.lastIndex(of: "/") {
                folders.append(folder + below)
                below = below[..<slash]
            }
            return folders
        }
    }

    private static func lines(of path: String) -> [Substring] {
        guard let bytes = try? StateFile.read(path, limit: 1 << 20) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }
}

extension MemoryBudget {
    /// The limit if none is configured: a quarter of the memory that the process may have, since the kernel's share of
    /// connections counts too, but no more than is useful.
    static func standardLimit(root: String = "") -> Int {
        guard let limit = MemoryLimit.ofProcess(root: root) else { return mostOfUse }
        return max(leastOfUse, min(mostOfUse, limit / 4))
    }

    private static let mostOfUse = 64 << 20
    private static let leastOfUse = 1 << 20
}
