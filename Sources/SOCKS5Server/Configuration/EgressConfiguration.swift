public import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

extension Configuration {
    /// Where connections to targets come from; by default what the system chooses.
    public struct Egress: Sendable, Hashable {
        /// For the targets of their family: addresses of this machine, and prefixes that its routes lead to it. At most
        /// 256, none of them twice.
        ///
        /// Neither network nor broadcast address of an IPv4 prefix is used, nor the first address of an IPv6 one.
        public var addresses: [IPNetwork] = []
        /// How one of several addresses is chosen. An association of UDP keeps its address of a family.
        public var choose = EgressChoice.random
        /// The interface that connections go through (SO_BINDTODEVICE).
        public var interface: String?
        /// What routing rules and filters see (SO_MARK); 0 for none. Needs CAP_NET_ADMIN.
        public var mark: UInt32 = 0

        public init() {}
    }
}

extension Configuration.Egress {
    /// Without an address.
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

    /// Says at the start what every connection would fail with. Of a prefix, one address is tried.
    func probe() throws(ProxyServerError) {
        // What doesn't depend on the family is tried with IPv4, which every machine has.
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
    /// Of a user with these addresses for their families.
    fileprivate func replacing(_ own: [IPNetwork]) -> Self {
        var result = self
        let families = Set(own.map(\.firstForEgress.family))
        result.addresses.removeAll { families.contains($0.firstForEgress.family) }
        result.addresses += own
        return result
    }
}

extension Configuration {
    /// The addresses of users who have some.
    var egressPerUser: [[UInt8]: EgressAddresses] {
        users.reduce(into: [:]) { result, user in
            if !user.egressAddresses.isEmpty { result[user.name] = EgressAddresses(user.egressAddresses) }
        }
    }

    /// Says at the start, or at a reload, what every connection by a listener, of a user or by a route would fail with.
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
