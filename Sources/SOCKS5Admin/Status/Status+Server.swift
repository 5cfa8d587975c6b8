internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

extension Status {
    /// - Parameters:
    ///   - version: the program's.
    ///   - sessions: the running ones.
    init(
        _ metrics: MetricsSnapshot,
        _ sessions: [SessionInfo],
        _ state: ServerStage,
        _ process: ServedProcess,
        version: String
    ) {
        let statistics = metrics.statistics
        self.init(
            version: version,
            libuv: ProxyServer.libuvVersion,
            pid: process.pid,
            state: state,
            started: process.started,
            now: .now(),
            workers: metrics.workers.count
        )
        listeners = metrics.listeners.map { listener in
            Listener(name: listener.name, sessions: listener.sessions.reduce(0) { $0 + $1.count })
        }
        self.sessions = SessionCounts(
            running: statistics.active,
            limit: metrics.sessionsLimit,
            accepted: statistics[.accepted],
            ended: statistics[.ended],
            relaying: sessions.count { $0.stage == .relay },
            handshakes: metrics.listeners.reduce(0) { sum, listener in
                sum + listener.sessions.filter { $0.command == nil }.reduce(0) { $0 + $1.count }
            }
        )
        count(metrics)
        count(statistics)
        refused.append(("lookups", UInt64(metrics.lookups.refused)))
        let busiest = BusiestSessions(sessions)
        users = busiest.users
        destinations = busiest.destinations
        clients = busiest.clients
    }

    private mutating func count(_ metrics: MetricsSnapshot) {
        dial = Percentiles(metrics.dialTimes)
        var ended: [SessionInfo.Outcome: UInt64] = [:]
        for (_, outcome, count) in metrics.ended { ended[outcome, default: 0] += count }
        outcomes = ended.map { ($0.key.rawValue, $0.value) }.sorted { $0.name < $1.name }
        limits = [
            Limit(name: "connections", used: metrics.statistics.active, limit: metrics.sessionsLimit),
            Limit(name: "buffer-memory", used: metrics.bufferBytes, limit: metrics.bufferLimit),
        ]
        parents = metrics.parents.map { Parent(name: $0.name, isUp: $0.isUp, sessions: $0.sessions) }
        bans = metrics.bans
    }

    private mutating func count(_ statistics: Statistics) {
        bytes = Traffic(
            sent: UInt64(statistics[.bytesClientToTarget]),
            received: UInt64(statistics[.bytesTargetToClient])
        )
        datagrams = Traffic(
            sent: UInt64(statistics[.datagramsClientToTarget]),
            received: UInt64(statistics[.datagramsTargetToClient])
        )
        datagramsDropped = DatagramDrop.allCases.map { ($0.word, UInt64(statistics.datagramsDropped($0))) }
        replies = Reply.allCases.map { ("\($0.rawValue)", UInt64(statistics.replies($0))) }
        refused =
            [
                ("limit", UInt64(statistics[.refusedAtLimit])),
                ("banned", UInt64(statistics[.refusedAsBanned])),
                ("draining", UInt64(statistics[.refusedWhileDraining])),
                ("stranger", UInt64(statistics[.refusedToStrangers])),
                ("proxy_header", UInt64(statistics[.refusedForHeader])),
                ("displaced", UInt64(statistics[.displacedHandshakes])),
                ("unchecked_logins", UInt64(statistics[.uncheckedLogins])),
                ("associations_per_source", UInt64(statistics[.associationsAtLimit])),
            ] + LimitRefusal.allCases.map { ($0.word, UInt64(statistics.refusals($0))) }
        failedLogins = UInt64(statistics[.failedLogins])
    }
}

extension Status.Percentiles {
    /// In milliseconds, from a histogram in seconds.
    init(_ times: HistogramSnapshot) {
        func milliseconds(_ part: Double) -> Double {
            ((times.quantile(part) ?? 0) * 10_000).rounded() / 10
        }
        self.init(p50: milliseconds(0.5), p90: milliseconds(0.9), p99: milliseconds(0.99), count: times.count)
    }
}
