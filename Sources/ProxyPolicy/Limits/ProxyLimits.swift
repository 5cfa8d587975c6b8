/// How much one source and one user may take. `nil`: no limit.
///
/// A source is an IPv4 address or an IPv6 /64. Users are those who have logged in: without a login, what is said
/// of users binds nobody. Everything is counted over all workers.
public struct ProxyLimits: Sendable {
    /// Connections at once of a source, 1 or more. One more is closed as soon as it is accepted.
    public var connectionsPerSource: Int?
    /// Connections at once of a source that have not sent their whole request yet, 1 or more. One more is closed
    /// as soon as it is accepted.
    public var handshakesPerSource: Int?
    /// New connections a second of a source, 1 to 1,000,000: as many as come in a second may come at once. One
    /// more is closed as soon as it is accepted.
    public var newConnectionsPerSource: Int?
    /// Bytes a second that are read from the client of a connection, and the same number from its target: each
    /// direction by itself, 1024 to 2^40. Payload alone counts, of TCP and of UDP.
    ///
    /// Beyond it TCP isn't read, so that the sender slows down; datagrams are dropped. A 16th of a second's
    /// bytes may come at once.
    public var bandwidthPerConnection: Int?
    /// Where what users have used of their quotas is kept from one run to the next; read at the start, written
    /// every 10 s and at the end, with a `.new` beside it for a moment. `nil`: a quota begins anew with each start.
    /// No two servers may have the same file.
    public var quotaFile: String?
    /// Of each user who has none of their own in ``ProxyUser/limits``.
    public var user: UserLimits

    public init(
        connectionsPerSource: Int? = nil,
        handshakesPerSource: Int? = nil,
        newConnectionsPerSource: Int? = nil,
        bandwidthPerConnection: Int? = nil,
        quotaFile: String? = nil,
        user: UserLimits = UserLimits()
    ) {
        self.connectionsPerSource = connectionsPerSource
        self.handshakesPerSource = handshakesPerSource
        self.newConnectionsPerSource = newConnectionsPerSource
        self.bandwidthPerConnection = bandwidthPerConnection
        self.quotaFile = quotaFile
        self.user = user
    }
}

/// How much one user may take, over all their connections. `nil`: no limit.
public struct UserLimits: Sendable {
    /// Connections at once with a request, 1 or more. One more is answered 02 (RFC 1928 section 6).
    public var connections: Int?
    /// Bytes a second in each direction, as in ``ProxyLimits/bandwidthPerConnection``, of all connections of the user
    /// together, who get it in turn.
    public var bandwidth: Int?
    /// Payload in a period. When it is used up, requests are answered 02 and running sessions end.
    public var quota: Quota?

    public init(connections: Int? = nil, bandwidth: Int? = nil, quota: Quota? = nil) {
        self.connections = connections
        self.bandwidth = bandwidth
        self.quota = quota
    }
}

/// Payload that a user may send and receive, both together, in each period.
public struct Quota: Hashable, Sendable {
    /// 1 to 2^60.
    public var bytes: Int
    public var period: Period

    /// In UTC: a week begins on Monday. The clock of the system decides, and where it steps back, a period that
    /// has begun goes on.
    public enum Period: String, CaseIterable, Sendable {
        case day, week, month
    }

    public init(bytes: Int, period: Period) {
        self.bytes = bytes
        self.period = period
    }
}

extension ProxyLimits {
    /// Refuses numbers out of range.
    package func validate(_ users: [ProxyUser]) throws(ConfigurationError) {
        try ofSource.validate()
        if let quotaFile, quotaFile.isEmpty || quotaFile.utf8.contains(0) {
            throw ConfigurationError("limits.quotaFile is empty or has a NUL; expected a path")
        }
        try user.validate("limits.user")
        for user in users {
            guard let limits = user.limits else { continue }
            try limits.validate("the limit of \(user.title),")
        }
    }

    static let bandwidths = 1024...(1 << 40)
}

extension UserLimits {
    func validate(_ place: String) throws(ConfigurationError) {
        try ConfigurationError.check("\(place) connections", connections, 1...(1 << 30))
        try ConfigurationError.check("\(place) bandwidth", bandwidth, ProxyLimits.bandwidths)
        try ConfigurationError.check("\(place) quota", quota?.bytes, 1...(1 << 60))
    }
}
