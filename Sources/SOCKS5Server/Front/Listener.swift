internal import SOCKS5Protocol
internal import UVLoop

/// One way in, with settings of its own: so far its address, and the method that its clients log in by, which is that
/// of the policy for all.
///
/// - Isolation: any thread; each worker accepts on a socket of its own for it.
final class Listener: Sendable {
    /// With the port that the system chose, if it was left to it.
    let address: SocketAddress

    init(at address: SocketAddress) {
        self.address = address
    }

    /// What the next client is spoken to with.
    func front(under policy: Policy) -> Front {
        .socks5(ServerHandshake(requiring: policy.method))
    }
}

/// A connection that no session has yet.
struct Arrival: Sendable {
    let listener: Listener
    let peer: SocketAddress
    /// How often workers have passed it on.
    var passes = 0
}
