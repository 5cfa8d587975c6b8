public import ProxyPolicy
internal import SOCKS5Protocol

/// The way out for matching requests.
///
/// The first route of ``Configuration/routes`` that matches a request is taken; without a match, the connection goes
/// directly to the target. A route matches if all its criteria are fulfilled, like a ``Rule``. Rules and guard have
/// already allowed the request.
public struct Route: Sendable {
    public enum Way: Hashable, Sendable {
        case direct
        /// Through the ``Parent`` or ``ParentGroup`` with this name.
        case parent(String)
    }

    /// The side that resolves the names in requests.
    public enum Names: String, Hashable, Sendable, CaseIterable {
        /// The parent. ``Route/networks`` then match only addresses in requests, never names.
        case remote
        /// This server, before the route is chosen, so that ``Route/networks`` also match the addresses of names.
        case local
    }

    public var way: Way
    /// Connects to the targets instead of ``way``.
    public var connector: (any TargetConnector)?
    /// Networks of the client.
    public var clients: [IPNetwork]?
    /// Users that have logged in, as bytes (RFC 1929).
    public var users: [[UInt8]]?
    /// Networks of the target's address, or of the IPv4 address embedded in it (NAT64, 6to4 and others).
    public var networks: [IPNetwork]?
    /// Names of the target in the request.
    public var domains: [DomainPattern]?
    /// Ports of the target.
    public var ports: [PortRange]?
    public var names = Names.remote
    /// Whether datagrams go directly to their targets even if ``way`` is a parent.
    public var sendsDatagramsDirectly = false
    /// The source addresses of connections along this route, including those to a parent. If `nil`, the same as without
    /// the route.
    public var egress: Configuration.Egress?
    /// The place where the route is written, such as `socks5d.yaml:12`, as its name in logs. If `nil`, its number is
    /// used.
    public var place: String?

    /// A route for everything, unless criteria are set.
    public init(_ way: Way) {
        self.way = way
    }

    /// A route by a connector of your own.
    public init(by connector: any TargetConnector) {
        way = .direct
        self.connector = connector
    }
}

extension Route {
    /// The route's criteria as a rule. If names are resolved here, the rule allows: such a rule may match a name before
    /// its addresses are known.
    package var criteria: Rule {
        var rule = Rule(
            names == .local ? .allow : .deny,
            clients: clients,
            networks: networks,
            domains: domains,
            ports: ports
        )
        rule.users = users
        return rule
    }

    /// Whether it has no criteria.
    var takesEverything: Bool {
        clients == nil && users == nil && networks == nil && domains == nil && ports == nil
    }
}
