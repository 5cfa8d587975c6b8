internal import ProxyPolicy
public import SOCKS5Protocol
internal import Text
internal import UVLoop

extension Configuration {
    /// Where connections to targets come from; by default what the system chooses.
    public struct Egress: Sendable, Hashable {
        /// At most one of each family, for the targets of that family.
        public var addresses: [IPAddress] = []
        /// The interface that connections go through (SO_BINDTODEVICE).
        public var interface: String?
        /// What routing rules and filters see (SO_MARK); 0 for none. Needs CAP_NET_ADMIN.
        public var mark: UInt32 = 0

        public init() {}
    }
}

extension Configuration.Egress {
    var socketOptions: EgressOptions {
        var options = EgressOptions()
        options.ipv4Source = addresses.first { $0.family == .ipv4 }.map { SocketAddress($0, port: 0) }
        options.ipv6Source = addresses.first { $0.family == .ipv6 }.map { SocketAddress($0, port: 0) }
        options.device = interface
        options.mark = mark
        return options
    }

    /// The longest name of an interface (IFNAMSIZ without its NUL).
    private static let longestName = 15

    func validate() throws(ConfigurationError) {
        if let family = addresses.familyOfTwo {
            throw ConfigurationError(
                "two \(family.rawValue) addresses to connect from; expected one of each family"
            )
        }
        guard let interface else { return }
        let bytes = interface.utf8
        guard (1...Self.longestName).contains(bytes.count), bytes.allSatisfy({ (0x21...0x7e).contains($0) })
        else {
            throw ConfigurationError(
                "'\(interface.escapedForOneLine)' is not an interface; expected a name, as eth0"
            )
        }
    }

    /// Says at the start what every connection would fail with.
    func probe() throws(ProxyServerError) {
        for family in IPAddress.Family.allCases {
            let address = addresses.first { $0.family == family }
            // What doesn't depend on the family is tried with IPv4, which every machine has.
            guard address != nil || family == .ipv4 else { continue }
            do {
                try socketOptions.probe(isIPv6: family == .ipv6)
            } catch {
                throw ProxyServerError(probing: error, address, self)
            }
        }
    }
}

extension Configuration.Egress {
    /// With these addresses for their families.
    func replacing(_ own: [IPAddress]) -> Self {
        var result = self
        result.addresses.removeAll { address in own.contains { $0.family == address.family } }
        result.addresses += own
        return result
    }

    /// Of a user with addresses of their own.
    fileprivate func of(_ user: ProxyUser) -> Self { replacing(user.egressAddresses) }
}

extension Configuration {
    /// By what users with addresses of their own leave.
    var egressPerUser: [[UInt8]: (addresses: [IPAddress], options: EgressOptions)] {
        users.reduce(into: [:]) { result, user in
            if !user.egressAddresses.isEmpty {
                result[user.name] = (user.egressAddresses, egress.of(user).socketOptions)
            }
        }
    }

    /// Says at the start, or at a reload, what every connection by a listener would fail with.
    func probeEgressOfListeners() throws(ProxyServerError) {
        for listener in listeners {
            guard case .fixed(let egress) = listener.egress else { continue }
            do throws(ProxyServerError) {
                try egress.probe()
            } catch {
                throw ProxyServerError(error.code, "listener \(listener.address): \(error.description)")
            }
        }
    }

    /// Says at the start, or at a reload, what every connection of a user would fail with.
    func probeEgressOfUsers() throws(ProxyServerError) {
        var probed: Set<[IPAddress]> = [[]]
        for user in users where probed.insert(user.egressAddresses).inserted {
            do throws(ProxyServerError) {
                try egress.of(user).probe()
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
                "there is no interface '\(egress.interface ?? "")' to connect through"
            )
        case .addressNotAvailable:
            self.init(
                .addressNotAvailable,
                "\(address?.description ?? "") is not an address of this machine to connect from"
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
