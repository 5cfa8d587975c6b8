public import ProxyPolicy
internal import SOCKS5Protocol

/// The way out for requests of some kind.
///
/// The first route of ``Configuration/routes`` that matches a request is taken; without one it leaves straight. A route
/// matches where each criterion that it has is fulfilled, as a ``Rule`` does. Rules and guard have allowed the request
/// before.
public struct Route: Sendable {
    public enum Way: Hashable, Sendable {
        case direct
        /// Through a ``Parent`` or a ``ParentGroup``, by its name.
        case parent(String)
    }

    /// Who looks a name up that a client has asked for.
    public enum Names: String, Hashable, Sendable, CaseIterable {
        /// The parent. ``Route/networks`` are then about addresses that clients ask for, never about names.
        case remote
        /// This server, before the route is chosen, so that ``Route/networks`` see the addresses of names too.
        case local
    }

    public var way: Way
    /// Gets the targets instead of ``way``.
    public var connector: (any TargetConnector)?
    /// Where the client connects from.
    public var clients: [IPNetwork]?
    /// Who has logged in, as bytes (RFC 1929).
    public var users: [[UInt8]]?
    /// Where the target's address is, or the IPv4 address that it wraps (NAT64, 6to4 and others).
    public var networks: [IPNetwork]?
    /// What the client calls the target.
    public var domains: [DomainPattern]?
    /// The target's port.
    public var ports: [PortRange]?
    public var names = Names.remote
    /// Whether datagrams leave straight where ``way`` is a parent.
    public var sendsDatagramsDirectly = false
    /// By what connections leave that are made for the route, also those to a parent. `nil`: as without the route.
    public var egress: Configuration.Egress?
    /// Where the route is written, as `socks5d.yaml:12`: its name in logs. `nil`: its number is.
    public var place: String?

    /// A route for everything, unless criteria are set.
    public init(_ way: Way) {
        self.way = way
    }

    /// A route by a way of one's own.
    public init(by connector: any TargetConnector) {
        way = .direct
        self.connector = connector
    }
}

extension Route {
    /// Its criteria. A route that a name takes only when its addresses are known may match before: it allows.
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
