public import SOCKS5Protocol

/// Another proxy, through which connections can leave: its parent, as HTTP proxies call it.
public struct Parent: Sendable {
    /// What it speaks.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// RFC 1928, with login (RFC 1929) where ``Parent/credentials`` are given.
        case socks5
        /// SOCKS4, with names as SOCKS4a has them.
        case socks4
        /// CONNECT (RFC 9110 section 9.3.6), with Basic where ``Parent/credentials`` are given.
        case http
    }

    /// Where it is.
    public enum Place: Hashable, Sendable {
        case tcp(Target)
        /// A unix socket of this machine.
        case unix(path: String)
    }

    /// How routes, logs and metrics call it.
    public var name: String
    public var kind: Kind
    public var place: Place
    /// `nil`: no login is offered. Of SOCKS4 only the user is sent.
    public var credentials: Credentials?
    /// The parent through which this one is reached, by its name. `nil`: straight.
    public var through: String?
    /// Whether the request is sent with the greeting, without waiting for the method: one round trip less, of a SOCKS5
    /// parent without a login that is known to take it.
    public var isPipelined = false

    public init(_ name: String, _ kind: Kind, at place: Place, credentials: Credentials? = nil) {
        self.name = name
        self.kind = kind
        self.place = place
        self.credentials = credentials
    }

    /// How many parents may stand one behind the other.
    public static let longestChain = 8
}

/// Several parents, any of which will do.
public struct ParentGroup: Sendable {
    public struct Member: Hashable, Sendable {
        /// Of a ``Parent``.
        public var name: String
        /// Its share where ``ParentGroup/choice`` spreads: a member of 2 gets twice what one of 1 gets.
        public var weight: Int

        public init(_ name: String, weight: Int = 1) {
            self.name = name
            self.weight = weight
        }
    }

    /// Which member goes first. Where it fails, the others follow.
    public enum Choice: String, Hashable, Sendable, CaseIterable {
        /// The first one that works.
        case inOrder = "in-order"
        case roundRobin = "round-robin"
        case leastSessions = "least-sessions"
        case random
        /// The same one for all connections of a user, or of a client without a login.
        case sameForUser = "same-for-user"
        /// The same one for all connections to a host.
        case sameForDestination = "same-for-destination"
    }

    /// How routes call it. No parent has the same name.
    public var name: String
    /// At least one, each once.
    public var members: [Member]
    public var choice = Choice.inOrder

    public init(_ name: String, anyOf members: [Member]) {
        self.name = name
        self.members = members
    }
}
