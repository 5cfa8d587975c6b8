/// The limits of each source and each user. `nil` for no limit.
///
/// A source is an IPv4 address or an IPv6 /64. Users are clients that have logged in: limits of users don't apply
/// without a login. Everything is counted over all workers.
public struct ProxyLimits: Sendable {
    /// Connections of a source at once, 1 or more. Further ones are closed as soon as they are accepted.
    public var connectionsPerSource: Int?
    /// Connections of a source at once whose request isn't complete yet, 1 or more. Further ones are closed as soon as
    /// they are accepted.
    public var handshakesPerSource: Int?
    /// New connections of a source per second, 1 to 1,000,000. The connections of one second may come at once. Further
    /// ones are closed as soon as they are accepted.
    public var newConnectionsPerSource: Int?
    /// Bytes per second read from the client of a connection, and separately the same from its target: 1024 to 2^40.
    /// Only payload counts, of TCP and UDP.
    ///
    /// When the limit is reached, TCP isn't read, so that the sender slows down, and datagrams are dropped. A 16th of a
    /// second's bytes may come at once.
    public var bandwidthPerConnection: Int?
    /// The file that keeps the usage of quotas between runs. It is read at the start, and written every 10 s
    /// and at the end, with a temporary `.new` file beside it. If `nil`, quotas start from zero with each
    /// start. Two servers must not share a file.
    public var quotaFile: String?
    /// The limits of each user without their own ``ProxyUser/limits``.
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

/// The limits of one user, over all their connections. `nil` for no limit.
public struct UserLimits: Sendable {
    /// Connections with a request at once, 1 or more. Further ones are refused with reply 2 (RFC 1928 section 6).
    public var connections: Int?
    /// Bytes per second in each direction, as in ``ProxyLimits/bandwidthPerConnection``, but shared by all connections
    /// of the user, which take turns.
    public var bandwidth: Int?
    /// Payload per period. When it is used up, requests are refused with reply 2 and running sessions end.
    public var quota: Quota?

    public init(connections: Int? = nil, bandwidth: Int? = nil, quota: Quota? = nil) {
        self.connections = connections
        self.bandwidth = bandwidth
        self.quota = quota
    }
}

/// The payload that a user may send and receive, in total, in each period.
public struct Quota: Hashable, Sendable {
    /// 1 to 2^60.
    public var bytes: Int
    public var period: Period

    /// Periods are in UTC, and a week begins on Monday. The system's clock decides. If it steps back, the current
    /// period continues.
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
