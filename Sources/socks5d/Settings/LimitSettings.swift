internal import ProxyPolicy
internal import SOCKS5Server

extension ProxyLimits {
    static var settings: [Setting<Settings>] {
        [
            .value(
                "connections-per-source",
                \.configuration.limits.connectionsPerSource,
                .count(1...(1 << 30)),
                "Connections at once of an IPv4 address or IPv6 /64."
            ),
            .value(
                "handshakes-per-source",
                \.configuration.limits.handshakesPerSource,
                .count(1...(1 << 30)),
                "Those of them that have not sent their whole request yet."
            ),
            .value(
                "new-connections-per-source",
                \.configuration.limits.newConnectionsPerSource,
                .count(1...1_000_000),
                "New ones a second."
            ),
            .value(
                "bandwidth-per-connection",
                \.configuration.limits.bandwidthPerConnection,
                .size(1024...(1 << 40)),
                "Bytes a second, each direction by itself."
            ),
            .value(
                "quota-file",
                \.configuration.limits.quotaFile,
                .path,
                "Where used quotas are kept from run to run; a relative path is beside this file."
            ),
            .group(
                "user",
                "Of each user who has no limits of their own.",
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
                "Connections at once."
            ),
            .value(
                "bandwidth",
                path.appending(path: \.bandwidth),
                .size(1024...(1 << 40)),
                "Bytes a second of all connections together, each direction by itself."
            ),
            .section(
                "quota",
                path.appending(path: \.quota),
                Quota.table,
                new: { Quota(bytes: 1, period: .month) },
                "Bytes of both directions in a period."
            ),
        ]
    }
}

extension Quota {
    static var table: Table<Quota> {
        Table(
            [
                .value("bytes", \.bytes, .size(1...(1 << 60)), "As 100G."),
                .value("period", \.period, .word, "day, week or month, in UTC."),
            ],
            required: ["bytes", "period"]
        )
    }
}
