internal import ProxyPolicy
public import SOCKS5Protocol
internal import UVLoop

extension Configuration {
    /// How names are looked up (getaddrinfo(3)), and how long answers are kept.
    public struct Resolver: Sendable {
        /// How long a name's addresses are used. The system's resolver doesn't tell how long they may be.
        public var hitLifetime: Duration = .seconds(60)
        /// How long a name that can't be found isn't looked for again.
        public var missLifetime: Duration = .seconds(5)
        /// Names that are kept; 0 for none.
        public var cachedNames = 10_000
        /// Lookups of one source (IPv4 address or IPv6 /64) at once; at most as many as that leaves to all others,
        /// of those that the process can do at once.
        public var lookupsPerSource = 64
        /// Names of one source that wait for their lookup; those beyond fail with reply `01`.
        public var waitingPerSource = 256
        /// The same, of all sources together.
        public var waiting = 4096
        /// Whether a name is also looked up with the domains of the search list behind it (resolv.conf(5)).
        ///
        /// Rules see the name that the client has sent: with a search list, `secret` passes a rule about
        /// `secret.corp.example`, and leads there. Binds the whole process: false counts if two servers differ.
        public var triesSearchList = false
        /// Names whose addresses are known: nobody is asked for them. At most ``mostHosts``, each with 1 to 64 addresses.
        ///
        /// Their addresses are judged by rules and destination guard as any others. Names that go to a parent aren't
        /// looked up here.
        public var hosts: [HostName: [IPAddress]] = [:]

        /// So many ``hosts`` there may be.
        public static let mostHosts = 10_000

        public init() {}
    }

    /// The addresses that are dialled where a name has several.
    public struct Families: Sendable {
        /// The family that is tried first. `nil`: that of the first address by the system's preference (RFC 6724).
        public var preferred: IPAddress.Family?
        /// The one family that is dialled; targets of the other get reply `08`. `nil`: both.
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
