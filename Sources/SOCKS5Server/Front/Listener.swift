internal import SOCKS5Protocol

/// One way in, with settings of its own. Those that a reload changes are the ``Policy``'s.
///
/// - Isolation: any thread; each worker accepts on a socket of its own for it.
final class Listener: Sendable {
    /// With the port that the system chose, if it was left to it.
    let address: ListenAddress
    /// And its place among others.
    let name: ListenerName

    /// - Parameter name: `nil`: the address.
    init(_ index: Int, at address: ListenAddress, named name: String?) {
        self.address = address
        self.name = ListenerName(index, name ?? address.description)
    }
}

/// A connection that no session has yet.
struct Arrival: Sendable {
    let listener: Listener
    let peer: Peer
    /// How often workers have passed it on.
    var passes = 0
}
