public import SOCKS5Protocol

/// Another proxy that connections can leave through: the parent, as HTTP proxies call it.
public struct Parent: Hashable, Sendable {
    /// The protocol of the parent.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// RFC 1928, with a login (RFC 1929) if ``Parent/credentials`` are set.
        case socks5
        /// SOCKS4; names are sent as in SOCKS4a.
        case socks4
        /// CONNECT (RFC 9110 section 9.3.6), with Basic authentication if ``Parent/credentials`` are set.
        case http
    }

    /// The parent's address.
    public enum Place: Hashable, Sendable {
        case tcp(Target)
        /// A unix socket on this machine.
        case unix(path: String)
    }

    /// Its name in routes, logs and metrics.
    public var name: String
    public var kind: Kind
    public var place: Place
    /// If `nil`, no login is offered. With SOCKS4 only the user is sent.
    public var credentials: Credentials?
    /// TLS between this server and the parent. `nil` for no TLS.
    public var tls: TLS?
    /// The name of the parent through which this one is reached. If `nil`, it is reached directly.
    public var through: String?
    /// Whether the request is sent together with the greeting, without waiting for the method. It saves a round trip.
    /// Set it only for a SOCKS5 parent without a login that is known to accept this.
    public var isPipelined = false

    public init(_ name: String, _ kind: Kind, at place: Place, credentials: Credentials? = nil) {
        self.name = name
        self.kind = kind
        self.place = place
        self.credentials = credentials
    }

    /// The most parents in one chain.
    public static let longestChain = 8
}

/// Several interchangeable parents.
public struct ParentGroup: Sendable {
    public struct Member: Hashable, Sendable {
        /// The name of a ``Parent``.
        public var name: String
        /// Its share if ``ParentGroup/choice`` spreads connections: a member of weight 2 gets twice as many as one of
        /// weight 1.
        public var weight: Int

        public init(_ name: String, weight: Int = 1) {
            self.name = name
            self.weight = weight
        }
    }

    /// Which member is tried first. If it fails, the others follow.
    public enum Choice: String, Hashable, Sendable, CaseIterable {
        /// The first member that works.
        case inOrder = "in-order"
        case roundRobin = "round-robin"
        case leastSessions = "least-sessions"
        case random
        /// The same member for all connections of a user, or of a client without a login.
        case sameForUser = "same-for-user"
        /// The same member for all connections to a host.
        case sameForDestination = "same-for-destination"
    }

    /// Connects through each member in turn, so that its state is known without clients.
    ///
    /// Without checks, the state is learned from clients' connections: failures in a row mark a member as down, and one
    /// client at a time tries it again, first after a second and later after up to a minute. With checks, no client has
    /// to. A parent outside a group is never checked, because there is no alternative to it.
    public struct Check: Hashable, Sendable {
        /// From the start of one check to the start of the next: 1 s to 24 h. A check ends after
        /// ``Configuration/Timeouts/dial``.
        public var every: Duration
        /// The target that a working member can connect to.
        public var target: Target

        public init(every: Duration, to target: Target) {
            self.every = every
            self.target = target
        }
    }

    /// The group's name in routes. No parent has the same name.
    public var name: String
    /// At least one member, without duplicates.
    public var members: [Member]
    public var choice = Choice.inOrder
    /// `nil` for no checks.
    public var check: Check?

    public init(_ name: String, anyOf members: [Member]) {
        self.name = name
        self.members = members
    }
}
