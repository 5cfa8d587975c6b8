internal import Glibc

/// A process with all its descendants, as `/proc` shows them now.
struct ProcessTree {
    private let pids: [pid_t]

    init(of root: pid_t) {
        var children: [pid_t: [pid_t]] = [:]
        for pid in Self.all() {
            if let fields = Self.status(of: pid), let parent = pid_t(fields[1]) {
                children[parent, default: []].append(pid)
            }
        }
        var found = [root]
        var index = 0
        while index < found.count {
            found += children[found[index]] ?? []
            index += 1
        }
        pids = found
    }

    /// Bytes of memory; what processes share counts once. 0 where `/proc` doesn't tell.
    var memory: Double {
        pids.reduce(0) { sum, pid in
            let lines = (contents(of: "/proc/\(pid)/smaps_rollup") ?? "").split(separator: "\n")
            let fields = lines.first { $0.hasPrefix("Pss:") }?.split(separator: " ") ?? []
            return sum + (fields.count > 1 ? (Double(fields[1]) ?? 0) * 1024 : 0)
        }
    }

    var descriptors: Double {
        pids.reduce(0) { sum, pid in sum + Double(Self.entries(of: "/proc/\(pid)/fd").count) }
    }

    /// The fields of `/proc/PID/stat` behind the name, which may have spaces: state, parent, ... (proc(5)).
    private static func status(of pid: pid_t) -> [Substring]? {
        guard let text = contents(of: "/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else {
            return nil
        }
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.count > 1 ? fields : nil
    }

    private static func all() -> [pid_t] { entries(of: "/proc").compactMap { pid_t($0) } }

    private static func entries(of path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}
