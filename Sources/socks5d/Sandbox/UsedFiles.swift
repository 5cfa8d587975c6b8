internal import CSandbox
internal import Glibc
internal import SOCKS5Admin
internal import SOCKS5Server
internal import Text

/// The files that the process uses from now on, including those opened by a reload, a rotation of the logs or a lookup.
///
/// To Landlock a file that is replaced is a different one. So usually the folder is allowed.
struct UsedFiles {
    private struct Use: OptionSet {
        let rawValue: UInt32

        static let read = Use(rawValue: UInt32(SANDBOX_READ))
        static let write = Use(rawValue: UInt32(SANDBOX_WRITE))
        static let replace = Use(rawValue: UInt32(SANDBOX_REPLACE))
        static let socket = Use(rawValue: UInt32(SANDBOX_SOCKET))
    }

    /// Indexed by path.
    private var uses: [String: Use] = [:]

    init(_ loaded: Loaded) {
        for path in Self.system { add(path, .read) }
        for path in Self.linked { addFolder(of: path, .read) }
        for path in loaded.files { addFolder(of: path, .read) }
        for place in [loaded.log.file, loaded.accessLog.file] {
            if case .file(let path)? = place { addFolder(of: path, .write) }
        }
        // A terminal is opened again, see LogOutput.
        for path in ["/dev/null", "/proc/self/fd/1", "/proc/self/fd/2"] where !Self.isFolder(path) {
            add(path, [.read, .write])
        }
        if let path = loaded.configuration.limits.quotaFile {
            addFolder(of: path, [.read, .write, .replace])
        }
        // Kerberos records used logins there.
        if loaded.configuration.listeners.contains(where: { $0.gssapi != nil }) {
            addFolder(of: Self.replayCache, [.read, .write])
        }
        for listener in loaded.configuration.listeners {
            if case .unix(let path) = listener.address.endpoint {
                addFolder(of: Self.nearest(to: path), .socket)
            }
        }
        if case .unix(let path)? = loaded.admin?.address { addFolder(of: path, .socket) }
    }

    /// Names, users and libraries of name services; numbers about the machine and the process.
    ///
    /// libdispatch reads `/proc/THREAD/stat`. About other processes, a process with Landlock sees only what every user
    /// sees there.
    private static let system = [
        "/etc", "/usr", "/lib", "/lib64", "/var/lib/sss", "/var/lib/extrausers", "/run/nscd", "/var/run/nscd",
        "/proc", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/dev/urandom",
    ]

    /// These may be links to another folder, such as /run/systemd/resolve.
    private static let linked = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"]

    /// The place where Kerberos looks, unless its configuration file names another.
    private static var replayCache: String {
        func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        let name = variable("KRB5RCACHENAME") ?? ""
        if let colon = name.firstIndex(of: ":"), name[..<colon] == "file2" {
            return String(name[name.index(after: colon)...])
        }
        let folder = ["KRB5RCACHEDIR", "TMPDIR"].compactMap(variable).first ?? "/var/tmp"
        return folder + "/krb5_\(geteuid()).rcache2"
    }

    private mutating func add(_ path: String, _ use: Use) { uses[path, default: []].formUnion(use) }

    /// The folders of the path and of the file that it leads to. A device or pipe is added itself, and so is a file in
    /// the root folder, because the folder would be everything.
    private mutating func addFolder(of path: String, _ use: Use) {
        for path in [path, Self.resolved(path)].compactMap(\.self) {
            let folder = path.folderOfPath
            if folder != "/" && !Self.isSpecial(path) { add(folder, use) } else { add(path, use) }
        }
    }

    /// The path, or if it doesn't exist, the nearest existing folder above it: the path may appear later, see the
    /// setting `retry`.
    private static func nearest(to path: String) -> String {
        var path = path
        while access(path.folderOfPath, F_OK) != 0, path.folderOfPath.utf8.count > 1 {
            path = String(path.folderOfPath.dropLast())
        }
        return path
    }

    private static func resolved(_ path: String) -> String? {
        guard let found = realpath(path, nil) else { return nil }
        defer { free(found) }
        return String(cString: found)
    }

    private static func type(of path: String) -> mode_t? {
        var facts = stat()
        return stat(path, &facts) == 0 ? facts.st_mode & S_IFMT : nil
    }

    private static func isFolder(_ path: String) -> Bool { type(of: path) == S_IFDIR }

    private static func isSpecial(_ path: String) -> Bool {
        type(of: path).map { ![S_IFREG, S_IFSOCK, S_IFDIR].contains($0) } ?? false
    }

    /// Restricts the process to these files.
    ///
    /// - Returns: -1, with `errno`, if the system refuses.
    func restrict() -> Int32 {
        let paths = uses.map { path, use in sandbox_path(path: strdup(path), uses: use.rawValue) }
        defer { for path in paths { free(UnsafeMutablePointer(mutating: path.path)) } }
        return sandbox_restrict_files(paths, paths.count)
    }
}
