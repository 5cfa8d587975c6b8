internal import Glibc
internal import Locks
internal import UVLoop

/// The sockets that another process has opened for this one, by name: systemd's protocol of socket activation
/// (sd_listen_fds_with_names(3)).
struct InheritedSockets: Sendable {
    /// Descriptors in the order in which they were passed on, -1 for those that are closed.
    private let entries: [(name: String, descriptor: Int32)]
    /// Why there is none, or fewer than was said.
    private let trouble: String?

    /// What this process was started with. The first look has to come before a descriptor is opened, which might get the
    /// number of one that was passed on and is closed.
    static let ofProcess = InheritedSockets(process: getpid()) { name in
        getenv(name).map { String(cString: $0) }
    } isOpen: { descriptor in
        fcntl(descriptor, F_GETFD) >= 0
    }

    /// Where the sockets of a name listen that a predecessor has handed over; this process hasn't inherited them.
    private static let handed = Guarded<[String: [SocketAddress]]>([:])

    static func adopt(_ addresses: [SocketAddress], named name: String) {
        handed.withLock { $0[name] = addresses }
    }

    /// Where those of a name listen, as far as this process has any. Those of IP alone.
    static func knownAddresses(named name: String) -> [SocketAddress] {
        ofProcess.addresses(named: name) + handed.withLock { $0[name] ?? [] }
    }

    private static let first: Int32 = 3
    private static let most = 1024
    /// Of a socket that has no name (sd_listen_fds_with_names(3)).
    private static let nameless = "unknown"

    /// - Parameters:
    ///   - process: for which the variables have to be.
    ///   - variable: of the environment, by name.
    ///   - isOpen: whether there is such a descriptor.
    init(process: Int32, _ variable: (String) -> String?, isOpen: (Int32) -> Bool = { _ in true }) {
        guard let count = variable("LISTEN_FDS") else {
            (entries, trouble) = ([], "LISTEN_FDS is not set")
            return
        }
        // A parent may have got them, and have left the variables to its children.
        guard let owner = variable("LISTEN_PID"), Int32(owner) == process else {
            let owner = variable("LISTEN_PID").map { "is '\($0)'" } ?? "is not set"
            (entries, trouble) = ([], "LISTEN_PID \(owner), and this process is \(process)")
            return
        }
        guard let count = Int(count), (1...Self.most).contains(count) else {
            (entries, trouble) = ([], "LISTEN_FDS is '\(count)'; expected 1 to \(Self.most)")
            return
        }
        let names = variable("LISTEN_FDNAMES")?.split(separator: ":", omittingEmptySubsequences: false) ?? []
        guard names.isEmpty || names.count == count else {
            (entries, trouble) = ([], "LISTEN_FDNAMES has \(names.count) names for \(count) sockets")
            return
        }
        entries = (0..<count).map { index in
            let name = names.isEmpty || names[index].isEmpty ? Self.nameless : String(names[index])
            let descriptor = Self.first + Int32(index)
            return (name, isOpen(descriptor) ? descriptor : -1)
        }
        trouble = nil
    }

    func descriptors(named name: String) -> [Int32] {
        entries.filter { $0.name == name }.map(\.descriptor)
    }

    /// Those of IP alone; what can't be listened on has none.
    private func addresses(named name: String) -> [SocketAddress] {
        sockets(named: name).compactMap { try? $0.get() }.filter { !$0.isUnix }.map(\.boundAddress)
    }

    /// The descriptors stay those of the process: they are there for the whole of its life, and a socket that is closed is a
    /// copy.
    func sockets(named name: String) -> [Result<ListeningSocket, UVError>] {
        descriptors(named: name).map { descriptor in
            Result { () throws(UVError) in try ListeningSocket(adopting: descriptor, isKept: true) }
        }
    }

    /// Why there is none of this name.
    func absence(of name: String) -> String {
        if let trouble { return trouble }
        let names = Set(entries.map(\.name)).sorted().map { "'\($0)'" }
        return "there is \(names.joined(separator: ", "))"
    }
}
