internal import UVLoop

/// Where a server listens. None of its parents may be there.
struct OwnPlaces: Sendable {
    var addresses: [SocketAddress] = []
    /// The files of unix sockets, made by this process or by another one such as systemd.
    var sockets: Set<FileIdentity> = []

    /// Whether a path leads to a unix socket on which the server listens. One stat(2) if it listens on any.
    func contains(socketAt path: String) -> Bool {
        !sockets.isEmpty && FileIdentity(at: path).map { sockets.contains($0) } ?? false
    }
}
