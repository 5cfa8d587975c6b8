internal import SOCKS5Protocol
internal import UVLoop

/// One way in, with settings of its own. Those that a reload changes are the ``Policy``'s.
///
/// - Isolation: any thread; each worker accepts on a socket of its own for it.
final class Listener: Sendable {
    /// Its place in ``Configuration/listeners``.
    let index: Int
    /// With the port that the system chose, if it was left to it.
    let address: SocketAddress

    init(_ index: Int, at address: SocketAddress) {
        self.index = index
        self.address = address
    }

    /// What the next client is spoken to with.
    func front(under policy: Policy) -> Front {
        .socks5(ServerHandshake(requiring: policy.methods[index]))
    }
}

/// A connection that no session has yet.
struct Arrival: Sendable {
    let listener: Listener
    let peer: SocketAddress
    /// How often workers have passed it on.
    var passes = 0
}
