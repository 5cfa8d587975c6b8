package import SOCKS5Protocol

/// Keeps clients of a proxy from what only its own machine or network should reach, unless that is wanted.
///
/// A proxy that others use stands inside of a network and dials for those outside: without a guard they reach its
/// loopback, its neighbours, and the passwords that a cloud tells its machines. Addresses that wrap IPv4 ones are
/// judged by what is inside.
package struct DestinationGuard: Sendable {
    private let networks: NetworkTable
    private let treatments: [SpecialNetworks.Treatment]
    private let exceptions: NetworkTable
    private let opensPrivate: Bool
    private let opensAll: Bool
    private let listeners: [Listener]
    private let isOwn: @Sendable (IPAddress) -> Bool

    /// Where this proxy listens.
    package typealias Listener = (address: IPAddress, port: UInt16)

    /// - Parameters:
    ///   - listeners: an unspecified address stands for all of the machine's.
    ///   - isOwn: whether an address is one of this machine's. Asked where that decides: for the port of a listener on
    ///     an unspecified address.
    package init(
        exceptions: [GuardException],
        listeners: [Listener],
        isOwn: @escaping @Sendable (IPAddress) -> Bool
    ) {
        let special = SpecialNetworks.all
        networks = NetworkTable(
            special.enumerated().map { index, entry in
                do {
                    return (network: try IPNetwork(parsing: entry.network), value: index)
                } catch {
                    preconditionFailure("a special network isn't one: \(error)")
                }
            }
        )
        treatments = special.map(\.treatment)
        self.exceptions = NetworkTable(
            exceptions.compactMap { exception in
                if case .network(let network) = exception { network } else { nil }
            }
        )
        opensPrivate = exceptions.contains(.private)
        opensAll = exceptions.contains(.all)
        self.listeners = listeners.map { ($0.address.unmapped, $0.port) }
        self.isOwn = isOwn
    }

    /// Why an address may not be dialled; `nil`: it may.
    ///
    /// - Parameter address: as ``IPAddress/dialled``.
    package func denial(of address: IPAddress, port: UInt16) -> GuardReason? {
        if isListener(address, port) { return .ownListener }
        if opensAll || exceptions.contains(address) { return nil }
        switch networks.closest(to: address).map({ treatments[$0] }) {
        case .allowed, nil:
            return nil
        case .denied(let reason):
            return reason == .private && opensPrivate ? nil : reason
        case .wrapping(let wrapping):
            guard case .ipv6(let outer) = address else { return .reserved }
            let inner = wrapping.addresses(in: outer)
            return denial(of: inner.first, port: port) ?? inner.second.flatMap { denial(of: $0, port: port) }
        }
    }

    private func isListener(_ address: IPAddress, _ port: UInt16) -> Bool {
        listeners.contains { listener in
            listener.port == port
                && (listener.address.isUnspecified
                    ? address.isUnspecified || isOwn(address) : listener.address == address.dialled)
        }
    }
}
