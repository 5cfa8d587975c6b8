internal import UVLoop

/// The addresses that a server listens on. No parent may be among them.
struct OwnPlaces: Sendable {
    var addresses: [SocketAddress] = []
    /// The files of unix sockets, created by this process or by another one such as systemd.
    var sockets: Set<FileIdentity> = []

    /// Whether a path leads to a unix socket on which the server listens. Costs one stat(2) if it listens on any.
    func contains(socketAt path: String) -> Bool {
        !sockets.isEmpty && FileIdentity(at: path).map { sockets.contains($0) } ?? false
    }
}
