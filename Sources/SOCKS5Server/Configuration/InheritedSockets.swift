internal import Glibc
internal import Locks
internal import UVLoop

/// The sockets that another process has opened for this one, by name. systemd calls this socket activation
/// (sd_listen_fds_with_names(3)).
struct InheritedSockets: Sendable {
    /// The descriptors in the order in which they were passed on, -1 for closed ones.
    private let entries: [(name: String, descriptor: Int32)]
    /// Why there are none, or fewer than announced.
    private let trouble: String?

    /// The sockets that this process was started with. Read this before a descriptor is opened: the new one might reuse
    /// the number of a descriptor that was announced but is closed.
    static let ofProcess = InheritedSockets(process: getpid()) { name in
        getenv(name).map { String(cString: $0) }
    } isOpen: { descriptor in
        fcntl(descriptor, F_GETFD) >= 0
    }

    /// The addresses, by name, of sockets that a predecessor has handed over and this process hasn't inherited.
    private static let handed = Guarded<[String: [SocketAddress]]>([:])

    static func adopt(_ addresses: [SocketAddress], named name: String) {
        handed.withLock { $0[name] = addresses }
    }

    /// The addresses of the sockets with a name, as far as this process knows any. IP sockets only.
    static func knownAddresses(named name: String) -> [SocketAddress] {
        ofProcess.addresses(named: name) + handed.withLock { $0[name] ?? [] }
    }

    private static let first: Int32 = 3
    private static let most = 1024
    /// The name of a socket without one (sd_listen_fds_with_names(3)).
    private static let nameless = "unknown"

    /// - Parameters:
    ///   - process: the process for which the variables must be meant.
    ///   - variable: returns an environment variable by name.
    ///   - isOpen: whether a descriptor is open.
    init(process: Int32, _ variable: (String) -> String?, isOpen: (Int32) -> Bool = { _ in true }) {
        guard let count = variable("LISTEN_FDS") else {
            (entries, trouble) = ([], "LISTEN_FDS is not set")
            return
        }
        // The variables may be meant for a parent process that left them to its children.
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

    /// IP sockets only: other sockets have no address here.
    private func addresses(named name: String) -> [SocketAddress] {
        sockets(named: name).compactMap { try? $0.get() }.filter { !$0.isUnix }.map(\.boundAddress)
    }

    /// The process owns the descriptors for its whole life; a socket that is closed is a copy.
    func sockets(named name: String) -> [Result<ListeningSocket, UVError>] {
        descriptors(named: name).map { descriptor in
            Result { () throws(UVError) in try ListeningSocket(adopting: descriptor, isKept: true) }
        }
    }

    /// Why there is no socket of this name.
    func absence(of name: String) -> String {
        if let trouble { return trouble }
        let names = Set(entries.map(\.name)).sorted().map { "'\($0)'" }
        return "there is \(names.joined(separator: ", "))"
    }
}
