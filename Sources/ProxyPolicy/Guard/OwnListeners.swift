package import SOCKS5Protocol

/// The addresses that this proxy listens on: a connection of its own to them would go round in a circle.
package struct OwnListeners: Sendable {
    package typealias Listener = (address: IPAddress, port: UInt16)

    private let listeners: [Listener]
    private let isOwn: @Sendable (IPAddress) -> Bool

    /// - Parameters:
    ///   - listeners: an unspecified address stands for all addresses of this machine.
    ///   - isOwn: whether an address belongs to this machine. Called only if that decides: for the port of a listener
    ///     on an unspecified address.
    package init(_ listeners: [Listener], isOwn: @escaping @Sendable (IPAddress) -> Bool) {
        self.listeners = listeners.map { ($0.address.unmapped, $0.port) }
        self.isOwn = isOwn
    }

    package func contains(_ address: IPAddress, port: UInt16) -> Bool {
        listeners.contains { listener in
            listener.port == port
                && (listener.address.isUnspecified
                    ? address.isUnspecified || isOwn(address) : listener.address == address.dialled)
        }
    }
}
