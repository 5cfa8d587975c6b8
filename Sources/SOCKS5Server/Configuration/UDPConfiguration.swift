internal import ProxyPolicy

extension Configuration {
    /// The UDP ASSOCIATE command (RFC 1928 section 7).
    public struct UDP: Sendable {
        /// If false, UDP ASSOCIATE is refused with reply 7, command not supported.
        public var isEnabled = true
        /// The ports that clients send to, one per association. If `nil`, the system chooses. If it is a single port,
        /// all associations share it.
        public var ports: PortRange?
        /// Which hosts' datagrams a client receives.
        public var filtering = Filtering.addressDependent
        /// Whether another port of the client's address may take over from one that has been silent for 5 s, for
        /// example after its NAT has forgotten the mapping. A neighbour behind the same NAT can take over, too.
        public var allowsRebinding = true
        /// Whether fragmented datagrams are reassembled rather than dropped.
        public var reassemblesFragments = true
        /// Time without a datagram.
        public var idle: Duration = .seconds(300)
        /// The most hosts from which a client receives answers at once. A further host replaces one that isn't in use.
        public var targetsPerAssociation = 1024
        /// The most associations at once for one source: an IPv4 address, or an IPv6 /64.
        public var associationsPerSource = 64

        public init() {}

        /// The port that all associations share.
        var sharedPort: UInt16? {
            guard let ports, ports.lowest == ports.highest else { return nil }
            return ports.lowest
        }
    }

    /// Which hosts' datagrams a client receives (RFC 4787 section 5).
    public enum Filtering: String, CaseIterable, Sendable {
        /// Datagrams of hosts that it has sent to.
        case addressDependent = "address"
        /// Datagrams of any host, once it has sent to any: "full cone".
        case endpointIndependent = "endpoint"
    }
}
