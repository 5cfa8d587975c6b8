public import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

extension Configuration {
    /// The source addresses of connections to targets. By default the system chooses.
    public struct Egress: Sendable, Hashable {
        /// Addresses of this machine, and prefixes that are routed to it, for targets of the same family. At most 256,
        /// without duplicates.
        ///
        /// The network and broadcast addresses of an IPv4 prefix aren't used, nor the first address of an IPv6 prefix.
        public var addresses: [IPNetwork] = []
        /// How one of several addresses is chosen. A UDP association keeps its address per family.
        public var choose = EgressChoice.random
        /// The interface that connections go through (SO_BINDTODEVICE).
        public var interface: String?
        /// The mark that routing rules and filters see (SO_MARK); 0 for none. Needs CAP_NET_ADMIN.
        public var mark: UInt32 = 0

        public init() {}
    }
}

extension Configuration.Egress {
    /// The options without an address.
    var commonOptions: EgressOptions {
        var options = EgressOptions()
        options.device = interface
        options.mark = mark
        return options
    }

    /// The longest name of an interface (IFNAMSIZ without its NUL).
    private static let longestName = 15

    func validate() throws(ConfigurationError) {
        try EgressAddresses.validate(addresses)
        guard let interface else { return }
        let bytes = interface.utf8
        guard (1...Self.longestName).contains(bytes.count), bytes.allSatisfy({ (0x21...0x7e).contains($0) })
        else {
            throw ConfigurationError(
                "'\(interface.escapedForOneLine)' is not an interface; expected a name, as eth0"
            )
        }
    }

    /// Fails at the start if every connection would fail later. One address of each prefix is tried.
    func probe() throws(ProxyServerError) {
        // Options that don't depend on the family are tried with IPv4, which every machine has.
        if !addresses.contains(where: { $0.firstForEgress.family == .ipv4 }) { try probe(nil) }
        for network in addresses { try probe(network) }
    }

    private func probe(_ network: IPNetwork?) throws(ProxyServerError) {
        var options = commonOptions
        let address = network?.firstForEgress
        if let network, let address {
            let source = SocketAddress(address, port: 0)
            if source.isIPv6 { options.ipv6Source = source } else { options.ipv4Source = source }
            options.bindsFreely = !network.isSingle
        }
        do {
            try options.probe(isIPv6: address?.family == .ipv6)
        } catch {
            throw ProxyServerError(probing: error, address, self)
        }
    }
}

extension Configuration.Egress {
    /// With the addresses of a user, for the families that they have.
    fileprivate func replacing(_ own: [IPNetwork]) -> Self {
        var result = self
        let families = Set(own.map(\.firstForEgress.family))
        result.addresses.removeAll { families.contains($0.firstForEgress.family) }
        result.addresses += own
        return result
    }
}

extension Configuration {
    /// The addresses of users that have their own.
    var egressPerUser: [[UInt8]: EgressAddresses] {
        users.reduce(into: [:]) { result, user in
            if !user.egressAddresses.isEmpty { result[user.name] = EgressAddresses(user.egressAddresses) }
        }
    }

    /// Fails at the start, or at a reload, if every connection of a listener, user or route would fail later.
    func probeReloadableEgress() throws(ProxyServerError) {
        try probeEgressOfListeners()
        try probeEgressOfUsers()
        try probeEgressOfRoutes()
    }

    private func probeEgressOfListeners() throws(ProxyServerError) {
        for listener in listeners {
            guard case .fixed(let egress) = listener.egress else { continue }
            do throws(ProxyServerError) {
                try egress.probe()
            } catch {
                throw ProxyServerError(error.code, "listener \(listener.address): \(error.description)")
            }
        }
    }

    private func probeEgressOfRoutes() throws(ProxyServerError) {
        let own = listeners.map(\.routes) + users.map { routesPerUser[$0.name] ?? [] }
        var probed: Set<Configuration.Egress> = []
        for route in own.joined() + routes {
            guard let egress = route.egress, probed.insert(egress).inserted else { continue }
            do throws(ProxyServerError) {
                try egress.probe()
            } catch {
                throw ProxyServerError(error.code, "\(route.place ?? "route"): \(error.description)")
            }
        }
    }

    private func probeEgressOfUsers() throws(ProxyServerError) {
        var probed: Set<[IPNetwork]> = [[]]
        for user in users where probed.insert(user.egressAddresses).inserted {
            do throws(ProxyServerError) {
                try egress.replacing(user.egressAddresses).probe()
            } catch {
                throw ProxyServerError(error.code, "\(user.title): \(error.description)")
            }
        }
    }
}

extension ProxyServerError {
    fileprivate init(probing error: UVError, _ address: IPAddress?, _ egress: Configuration.Egress) {
        switch error {
        case .noDevice:
            self.init(
                .addressNotAvailable,
                "there is no interface '\(egress.interface ?? "")' to connect through; 'ip link' shows them"
            )
        case .addressNotAvailable:
            self.init(
                .addressNotAvailable,
                "\(address?.description ?? "") is not an address of this machine to connect from; 'ip address' shows them"
            )
        case .notPermitted:
            self.init(
                .permissionDenied,
                "marking connections needs CAP_NET_ADMIN (the interface, CAP_NET_RAW)"
            )
        default:
            self.init(.systemFailure, "no connection can be made as asked for: \(error)")
        }
    }
}
