/// The limits of a ``Configuration``, ready to be asked. Immutable and apart from what has been counted, so that one
/// value can take the place of another.
struct LimitSettings: Sendable {
    /// Of a source; `nil` where it has none.
    struct Source: Sendable {
        let connections: Int
        let handshakes: Int
        /// Between two new connections, in nanoseconds; 0: any number may come.
        let interval: UInt64
    }

    let source: Source?
    /// Of a connection, in each direction.
    let bandwidth: Rate?
    private let user: UserSettings?
    /// Of those who have limits of their own.
    private let users: [[UInt8]: UserSettings?]

    init(_ limits: Configuration.Limits, _ users: [Configuration.User]) {
        source = Source(limits)
        bandwidth = limits.bandwidthPerConnection.map { Rate($0) }
        user = UserSettings(limits.user)
        self.users = Dictionary(
            users.compactMap { user in user.limits.map { (user.name, UserSettings($0)) } },
            uniquingKeysWith: { $1 }
        )
    }

    /// - Returns: `nil` where there is no limit.
    func limits(of name: [UInt8]) -> UserSettings? {
        guard user != nil || !users.isEmpty else { return nil }
        return users[name] ?? user
    }
}

/// The limits of a user, of which there is at least one.
final class UserSettings: Sendable {
    let connections: Int
    let bandwidth: Rate?
    let quota: Configuration.Quota?

    init?(_ limits: Configuration.UserLimits) {
        guard limits.connections != nil || limits.bandwidth != nil || limits.quota != nil else { return nil }
        connections = limits.connections ?? .max
        bandwidth = limits.bandwidth.map { Rate($0) }
        quota = limits.quota
    }
}

extension LimitSettings.Source {
    fileprivate init?(_ limits: Configuration.Limits) {
        guard
            limits.connectionsPerSource != nil || limits.handshakesPerSource != nil
                || limits.newConnectionsPerSource != nil
        else { return nil }
        connections = limits.connectionsPerSource ?? .max
        handshakes = limits.handshakesPerSource ?? .max
        interval = limits.newConnectionsPerSource.map { 1_000_000_000 / UInt64($0) } ?? 0
    }
}
