package import SOCKS5Protocol

/// Protects destinations that only the proxy's own machine or network should reach, unless the configuration allows
/// them.
///
/// A public proxy is inside a network and dials for clients outside. Without a guard they would reach its loopback, its
/// neighbours, and the passwords in a cloud's metadata. An address that embeds an IPv4 address is judged by that one.
package struct DestinationGuard: Sendable {
    private let networks: NetworkTable
    private let treatments: [SpecialNetworks.Treatment]
    private let exceptions: NetworkTable
    private let opensPrivate: Bool
    private let opensAll: Bool
    private let listeners: OwnListeners

    package init(exceptions: [GuardException], _ listeners: OwnListeners) {
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
        self.listeners = listeners
    }

    /// Why an address may not be dialled; `nil` if it may.
    ///
    /// - Parameter address: as ``IPAddress/dialled``.
    package func denial(of address: IPAddress, port: UInt16) -> GuardReason? {
        if listeners.contains(address, port: port) { return .ownListener }
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
}
