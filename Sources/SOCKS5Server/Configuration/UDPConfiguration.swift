internal import ProxyPolicy

extension Configuration {
    /// The UDP ASSOCIATE command (RFC 1928 section 7).
    public struct UDP: Sendable {
        /// Otherwise answered 07, command not supported.
        public var isEnabled = true
        /// The ports that clients send to, one an association; `nil`: the system chooses. If it is one port, all
        /// associations share it.
        public var ports: PortRange?
        /// Whose datagrams a client gets.
        public var filtering = Filtering.addressDependent
        /// Whether another port of the client's address takes the place of one that has been silent for 5 s, as when
        /// its NAT has forgotten it. A neighbour behind the same NAT can do that too.
        public var allowsRebinding = true
        /// Whether datagrams in fragments are put together rather than dropped.
        public var reassemblesFragments = true
        /// Without a datagram.
        public var idle: Duration = .seconds(300)
        /// Hosts from which a client gets answers at once; one host more replaces one that it doesn't use.
        public var targetsPerAssociation = 1024
        /// Associations at once that are granted to one source: an IPv4 address, or an IPv6 /64.
        public var associationsPerSource = 64

        public init() {}

        /// The port that all associations share.
        var sharedPort: UInt16? {
            guard let ports, ports.lowest == ports.highest else { return nil }
            return ports.lowest
        }
    }

    /// Whose datagrams a client gets (RFC 4787 section 5).
    public enum Filtering: String, CaseIterable, Sendable {
        /// Those of hosts that it has sent to.
        case addressDependent = "address"
        /// Anyone's, once it has sent to anyone: "full cone".
        case endpointIndependent = "endpoint"
    }
}
