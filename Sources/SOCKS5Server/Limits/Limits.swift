extension Configuration {
    /// How much one source and one user may take. `nil`: no limit.
    ///
    /// A source is an IPv4 address or an IPv6 /64. Users are those who have logged in: without a login, what is said
    /// of users binds nobody. Everything is counted over all workers.
    public struct Limits: Sendable {
        /// Connections at once of a source, 1 or more. One more is closed as soon as it is accepted.
        public var connectionsPerSource: Int?
        /// Connections at once of a source that have not sent their whole request yet, 1 or more. One more is closed
        /// as soon as it is accepted.
        public var handshakesPerSource: Int?
        /// New connections a second of a source, 1 to 1,000,000: as many as come in a second may come at once. One
        /// more is closed as soon as it is accepted.
        public var newConnectionsPerSource: Int?
        /// Of each user who has none of their own in ``Configuration/User/limits``.
        public var user = UserLimits()

        public init() {}
    }

    /// How much one user may take, over all their connections. `nil`: no limit.
    public struct UserLimits: Sendable {
        /// Connections at once with a request, 1 or more. One more is answered 02 (RFC 1928 section 6).
        public var connections: Int?

        public init() {}
    }
}

extension Configuration.Limits {
    /// Refuses numbers out of range.
    func validate(_ users: [Configuration.User]) throws(ProxyServerError) {
        try Self.check("limits.connectionsPerSource", connectionsPerSource, 1...(1 << 30))
        try Self.check("limits.handshakesPerSource", handshakesPerSource, 1...(1 << 30))
        try Self.check("limits.newConnectionsPerSource", newConnectionsPerSource, 1...1_000_000)
        try user.validate("limits.user")
        for user in users {
            guard let limits = user.limits else { continue }
            let name = String(decoding: user.name, as: UTF8.self).escapedForOneLine
            try limits.validate("the limit of user '\(name)',")
        }
    }

    fileprivate static func check(
        _ name: String,
        _ value: Int?,
        _ range: ClosedRange<Int>
    ) throws(ProxyServerError) {
        guard let value, !range.contains(value) else { return }
        throw ProxyServerError(
            .invalidConfiguration,
            "\(name) is \(value); expected \(range.lowerBound) to \(range.upperBound)"
        )
    }
}

extension Configuration.UserLimits {
    fileprivate func validate(_ place: String) throws(ProxyServerError) {
        try Configuration.Limits.check("\(place) connections", connections, 1...(1 << 30))
    }
}
