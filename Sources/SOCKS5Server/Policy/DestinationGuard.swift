internal import UVLoop

/// Keeps clients of a proxy from what only its own machine or network should reach, unless that is wanted.
///
/// A proxy that others use stands inside of a network and dials for those outside: without a guard they reach its
/// loopback, its neighbours, and the passwords that a cloud tells its machines. Addresses that wrap IPv4 ones are
/// judged by what is inside.
struct DestinationGuard: Sendable {
    private let networks: NetworkTable
    private let treatments: [SpecialNetworks.Treatment]
    private let exceptions: NetworkTable
    private let opensPrivate: Bool
    private let opensAll: Bool
    private let listeners: [SocketAddress]

    /// - Parameter listeners: what this proxy listens on; a wildcard address stands for all of the machine's.
    init(exceptions: [GuardException], listeners: [SocketAddress]) {
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
        self.listeners = listeners.map(\.unmapped)
    }

    /// Why an address may not be dialled; `nil`: it may.
    ///
    /// - Parameter isOwn: whether an address is one of this machine's, asked where that decides: for the port of
    ///   a listener on a wildcard address.
    func denial(
        of address: SocketAddress,
        isOwn: (SocketAddress) -> Bool = { $0.isOfThisMachine }
    ) -> GuardReason? {
        let address = address.unmapped
        if isListener(address, isOwn) { return .ownListener }
        if opensAll || exceptions.contains(address.host) { return nil }
        switch networks.closest(to: address.host).map({ treatments[$0] }) {
        case .allowed, nil:
            return nil
        case .denied(let reason):
            return reason == .private && opensPrivate ? nil : reason
        case .wrapping(let wrapping):
            let (first, second) = wrapping.addresses(in: address)
            return denial(of: first, isOwn: isOwn) ?? second.flatMap { denial(of: $0, isOwn: isOwn) }
        }
    }

    /// Linux connects to loopback where the address is unspecified.
    private func isListener(_ address: SocketAddress, _ isOwn: (SocketAddress) -> Bool) -> Bool {
        for listener in listeners where listener.port == address.port {
            let isHit =
                listener.isUnspecified
                ? address.isUnspecified || isOwn(address)
                : listener.host == (address.isUnspecified ? address.asLoopback : address).host
            if isHit { return true }
        }
        return false
    }
}

extension SpecialNetworks.Wrapping {
    /// The IPv4 addresses in an IPv6 one, with its port.
    fileprivate func addresses(in address: SocketAddress) -> (SocketAddress, SocketAddress?) {
        guard case .ipv6(let high, let low, _) = address.host else { return (address, nil) }
        func ipv4(_ bits: UInt64) -> SocketAddress {
            SocketAddress(host: .ipv4(UInt32(truncatingIfNeeded: bits)), port: address.port)
        }
        switch self {
        case .last: return (ipv4(low), nil)
        case .sixToFour: return (ipv4(high >> 16), nil)
        case .teredo: return (ipv4(high), ipv4(~low))
        }
    }
}
