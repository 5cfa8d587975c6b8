internal import ProxyPolicy
internal import SOCKS5Server

extension SourceLimits {
    static func settings<Model>(
        _ path: WritableKeyPath<Model, SourceLimits>
    ) -> [Setting<Model>] {
        [
            .value(
                "connections-per-source",
                path.appending(path: \.connectionsPerSource),
                .count(1...(1 << 30)),
                "Number of connections at once from one source."
            ),
            .value(
                "handshakes-per-source",
                path.appending(path: \.handshakesPerSource),
                .count(1...(1 << 30)),
                "Number of connections at once from one source that haven't sent a complete request yet."
            ),
            .value(
                "new-connections-per-source",
                path.appending(path: \.newConnectionsPerSource),
                .count(1...1_000_000),
                "Number of new connections per second from one source."
            ),
            .value(
                "bandwidth-per-connection",
                path.appending(path: \.bandwidthPerConnection),
                .size(1024...(1 << 40)),
                "Bytes per second of one connection, in each direction."
            ),
        ]
    }
}

extension ProxyLimits {
    static var settings: [Setting<Settings>] {
        SourceLimits.settings(\.configuration.limits.ofSource) + [
            .value(
                "quota-file",
                \.configuration.limits.quotaFile,
                .path,
                "File that keeps the used quotas over restarts; a relative path starts at the configuration file's folder."
            ),
            .group(
                "user",
                "Limits of each user without limits of their own.",
                UserLimits.settings(\.configuration.limits.user)
            ),
        ]
    }
}

extension UserLimits {
    static func settings<Model>(
        _ path: WritableKeyPath<Model, UserLimits>
    ) -> [Setting<Model>] {
        [
            .value(
                "connections",
                path.appending(path: \.connections),
                .count(1...(1 << 30)),
                "Number of connections at once of one user."
            ),
            .value(
                "bandwidth",
                path.appending(path: \.bandwidth),
                .size(1024...(1 << 40)),
                "Bytes per second of all connections of one user, in each direction."
            ),
            .section(
                "quota",
                path.appending(path: \.quota),
                Quota.table,
                new: { Quota(bytes: 1, period: .month) },
                "Bytes of one user in a period, both directions together."
            ),
        ]
    }
}

extension Quota {
    static var table: Table<Quota> {
        Table(
            [
                .value("bytes", \.bytes, .size(1...(1 << 60)), "A size, such as 100G."),
                .value("period", \.period, .word, "Day, week or month, in UTC."),
            ],
            required: ["bytes", "period"]
        )
    }
}
