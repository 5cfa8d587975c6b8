/// The limits of a ``Configuration``, ready to be asked. Immutable and apart from what has been counted, so that one
/// value can take the place of another.
package struct LimitTable: Sendable {
    /// Of a source; `nil` where it has none.
    package struct Source: Sendable {
        let connections: Int
        let handshakes: Int
        /// Between two new connections, in nanoseconds; 0: any number may come.
        let interval: UInt64
    }

    package let source: Source?
    /// Of a connection, in each direction.
    package let bandwidth: Rate?
    private let user: UserBounds?
    /// Of those who have limits of their own.
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

    /// - Parameter terms: what a credential store has granted to the user.
    /// - Returns: `nil` where there is no limit.
    package func limits(of name: [UInt8], _ terms: UserTerms? = nil) -> UserBounds? {
        if let terms, terms.hasLimits { return terms.limits }
        guard user != nil || !users.isEmpty else { return nil }
        return users[name] ?? user
    }
}

/// The limits of a user, of which there is at least one.
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
