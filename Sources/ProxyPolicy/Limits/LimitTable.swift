/// The limits of a ``Configuration`` in a form for fast checks. Immutable and separate from the counts, so that one
/// value can replace another.
package struct LimitTable: Sendable {
    /// The limits of a source; `nil` for no limit.
    package struct Source: Sendable {
        let connections: Int
        let handshakes: Int
        /// The interval between two new connections, in nanoseconds; 0 for no limit.
        let interval: UInt64
    }

    package let source: Source?
    /// The bandwidth of a connection, in each direction.
    package let bandwidth: Rate?
    private let user: UserBounds?
    /// Users that have limits of their own.
    private let users: [[UInt8]: UserBounds?]

    package init(_ limits: ProxyLimits, _ users: [ProxyUser]) {
        source = Source(limits.ofSource)
        bandwidth = limits.bandwidthPerConnection.map { Rate($0) }
        user = UserBounds(limits.user)
        self.users = Dictionary(
            users.compactMap { user in user.limits.map { (user.name, UserBounds($0)) } },
            uniquingKeysWith: { $1 }
        )
    }

    /// - Parameter terms: the terms that a credential store has granted to the user.
    /// - Returns: `nil` if there is no limit.
    package func limits(of name: [UInt8], _ terms: UserTerms? = nil) -> UserBounds? {
        if let terms, terms.hasLimits { return terms.limits }
        guard user != nil || !users.isEmpty else { return nil }
        return users[name] ?? user
    }
}

/// The limits of a user; at least one is set.
package final class UserBounds: Sendable {
    package let connections: Int
    package let bandwidth: Rate?
    package let quota: Quota?

    package init?(_ limits: UserLimits) {
        guard limits.connections != nil || limits.bandwidth != nil || limits.quota != nil else { return nil }
        connections = limits.connections ?? .max
        bandwidth = limits.bandwidth.map { Rate($0) }
        quota = limits.quota
    }
}

extension LimitTable.Source {
    init?(_ limits: SourceLimits) {
        guard
            limits.connectionsPerSource != nil || limits.handshakesPerSource != nil
                || limits.newConnectionsPerSource != nil
        else { return nil }
        connections = limits.connectionsPerSource ?? .max
        handshakes = limits.handshakesPerSource ?? .max
        interval = limits.newConnectionsPerSource.map { 1_000_000_000 / UInt64($0) } ?? 0
    }
}
