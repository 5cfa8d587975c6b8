internal import ProxyPolicy
public import SOCKS5Protocol
internal import UVLoop

extension Configuration {
    /// How names are looked up (getaddrinfo(3)), and how long answers are kept.
    public struct Resolver: Sendable {
        /// How long a name's addresses are used. The system's resolver doesn't report their lifetime.
        public var hitLifetime: Duration = .seconds(60)
        /// How long a name that doesn't exist isn't looked up again.
        public var missLifetime: Duration = .seconds(5)
        /// The most names that are cached; 0 for none.
        public var cachedNames = 10_000
        /// The most lookups at once for one source (IPv4 address or IPv6 /64). Of the lookups that the process can do
        /// at once, a source never takes more than it leaves free for all others.
        public var lookupsPerSource = 64
        /// The most names of one source that wait for their lookup; further requests fail with reply `01`.
        public var waitingPerSource = 256
        /// The most names that wait, of all sources together.
        public var waiting = 4096
        /// Whether a name is also looked up with the domains of the search list appended (resolv.conf(5)).
        ///
        /// Rules see the name as the client has sent it. With a search list, `secret` passes a rule about
        /// `secret.corp.example` and still leads there. Applies to the whole process: if two servers differ, false
        /// wins.
        public var triesSearchList = false
        /// Names with fixed addresses, for which no resolver is asked. At most ``mostHosts``, each with 1 to 64
        /// addresses.
        ///
        /// Rules and destination guard check these addresses like any others. Names that are sent to a parent aren't
        /// looked up here.
        public var hosts: [HostName: [IPAddress]] = [:]

        /// The most ``hosts``.
        public static let mostHosts = 10_000

        public init() {}
    }

    /// The addresses that are dialled if a name has several.
    public struct Families: Sendable {
        /// The family that is tried first. If `nil`, the family of the first address in the system's order (RFC 6724).
        public var preferred: IPAddress.Family?
        /// Dial only this family; targets of the other get reply `08`. `nil` for both.
        public var only: IPAddress.Family?

        public init() {}
    }
}

extension Configuration.Resolver {
    private static let mostAddresses = 64

    func validateHosts() throws(ConfigurationError) {
        guard hosts.count <= Self.mostHosts else {
            throw ConfigurationError(
                "\(hosts.count) hosts of the resolver; expected at most \(Self.mostHosts)"
            )
        }
        for (name, addresses) in hosts {
            guard (1...Self.mostAddresses).contains(addresses.count) else {
                throw ConfigurationError(
                    "host \(name) has \(addresses.count) addresses; expected 1 to \(Self.mostAddresses)"
                )
            }
            if let useless = addresses.first(where: { $0.isUnspecified || $0.isMulticast }) {
                throw ConfigurationError("host \(name) has the address \(useless), where no host can be")
            }
        }
    }
}

extension SocketAddress {
    var family: IPAddress.Family { isIPv6 ? .ipv6 : .ipv4 }
}
