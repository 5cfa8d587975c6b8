public import SOCKS5Protocol

/// Another proxy, through which connections can leave: its parent, as HTTP proxies call it.
public struct Parent: Hashable, Sendable {
    /// What it speaks.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// RFC 1928, with login (RFC 1929) where ``Parent/credentials`` are given.
        case socks5
        /// SOCKS4, with names as SOCKS4a has them.
        case socks4
        /// CONNECT (RFC 9110 section 9.3.6), with Basic where ``Parent/credentials`` are given.
        case http
    }

    /// Where the parent is reached.
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
    /// Between this server and the parent. `nil`: there is none.
    public var tls: TLS?
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

    /// Connects through each member by turns, so that it is known without clients whether that works.
    ///
    /// Without checks the connections of clients say so: failures in a row take a member down, and one client at a time
    /// tries it again, after a second at first and up to a minute later. With checks no client has to. A parent in no
    /// group is never checked: there is nothing to choose instead of it.
    public struct Check: Hashable, Sendable {
        /// From the begin of one check to the begin of the next: 1 s to 24 h. A check ends after
        /// ``Configuration/Timeouts/dial``.
        public var every: Duration
        /// To what a member that works can connect.
        public var target: Target

        public init(every: Duration, to target: Target) {
            self.every = every
            self.target = target
        }
    }

    /// How routes call it. No parent has the same name.
    public var name: String
    /// At least one, each once.
    public var members: [Member]
    public var choice = Choice.inOrder
    /// `nil`: there are none.
    public var check: Check?

    public init(_ name: String, anyOf members: [Member]) {
        self.name = name
        self.members = members
    }
}
