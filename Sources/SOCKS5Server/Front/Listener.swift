internal import SOCKS5Protocol
internal import UVLoop

/// One way in, with settings of its own. Those that a reload changes are the ``Policy``'s.
///
/// - Isolation: any thread; each worker accepts on a socket of its own for it.
final class Listener: Sendable {
    /// With the port that the system chose, if it was left to it.
    let address: SocketAddress
    /// And its place among others.
    let name: ListenerName

    init(_ index: Int, at address: SocketAddress) {
        self.address = address
        name = ListenerName(index, address.description)
    }

    /// What the next client is spoken to with.
    func front(under policy: Policy) -> Front {
        .socks5(ServerHandshake(requiring: policy.methods[name.index]))
    }
}

/// A connection that no session has yet.
struct Arrival: Sendable {
    let listener: Listener
    let peer: SocketAddress
    /// How often workers have passed it on.
    var passes = 0
}
