internal import SOCKS5Protocol

/// A listener of the server. Its settings that a reload can change are in the ``Policy``.
///
/// - Isolation: any thread; each worker accepts on a socket of its own for it.
final class Listener: Sendable {
    /// With the port that the system chose if the setting was 0.
    let address: ListenAddress
    /// Its name, and its index among others.
    let name: ListenerName

    /// - Parameter name: if `nil`, the address is used.
    init(_ index: Int, at address: ListenAddress, named name: String?) {
        self.address = address
        self.name = ListenerName(index, name ?? address.description)
    }
}

/// A connection without a session yet.
struct Arrival: Sendable {
    let listener: Listener
    let peer: Peer
    /// How often workers have passed it on.
    var passes = 0
}
