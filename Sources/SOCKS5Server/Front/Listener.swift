internal import SOCKS5Protocol
internal import UVLoop

/// One way in, with settings of its own: so far its address, and the methods that its clients may log in by, which are
/// those of the policy for all.
///
/// - Isolation: any thread. Each worker accepts on a socket of its own for it.
struct Listener: Sendable {
    /// From 0, in the order of ``Configuration/listen``.
    let number: Int
    /// With the port that the system chose, if it was left to it.
    let address: SocketAddress

    /// What the next client is spoken to with.
    func front(under policy: Policy) -> Front {
        .socks5(ServerHandshake(requiring: policy.method))
    }
}
