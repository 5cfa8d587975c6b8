import Glibc

/// A control group of a test's own that limits memory (cgroups(7)), below the one that the test runs in.
public struct MemoryGroup: Sendable {
    private let folder: String

    /// The folder of the test's own group, and the file of the limit in it.
    private static let own: (folder: String, file: String)? = {
        let lines = ((try? readFile("/proc/self/cgroup")) ?? "").split(separator: "\n")
        for line in lines {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let candidate: (folder: String, file: String)
            if parts[1] == "memory" {
                candidate = ("/sys/fs/cgroup/memory\(parts[2])", "memory.limit_in_bytes")
            } else if parts[1].isEmpty {
                candidate = ("/sys/fs/cgroup\(parts[2])", "memory.max")
            } else {
                continue
            }
            if access("\(candidate.folder)/\(candidate.file)", W_OK) == 0 { return candidate }
        }
        return nil
    }()

    public static var canBeMade: Bool {
        guard let group = try? MemoryGroup(bytes: 1 << 30) else { return false }
        group.remove()
        return true
    }

    /// - Parameter bytes: the most memory of all its processes together.
    public init(bytes: Int) throws {
        guard let own = Self.own else { throw TestFailure("no memory controller") }
        folder = "\(own.folder)/socks5d-test-\(getpid())-\(bytes)"
        guard mkdir(folder, 0o700) == 0 else { throw TestFailure.lastError(folder) }
        do {
            try writeFile("\(folder)/\(own.file)", Array("\(bytes)".utf8))
        } catch {
            remove()
            throw error
        }
    }

    /// The command prefix that starts a program in it.
    public var launcher: [String] {
        ["sh", "-c", "echo $$ >\"$0\"/cgroup.procs && exec \"$@\"", folder]
    }

    /// Call it after its processes have ended.
    public func remove() {
        rmdir(folder)
    }
}
