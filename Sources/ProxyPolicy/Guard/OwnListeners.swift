package import SOCKS5Protocol

/// Where this proxy listens: a connection of its own there would go round in a circle.
package struct OwnListeners: Sendable {
    package typealias Listener = (address: IPAddress, port: UInt16)

    private let listeners: [Listener]
    private let isOwn: @Sendable (IPAddress) -> Bool

    /// - Parameters:
    ///   - listeners: an unspecified address stands for all of the machine's.
    ///   - isOwn: whether an address is one of this machine's. Asked where that decides: for the port of a listener on
    ///     an unspecified address.
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
