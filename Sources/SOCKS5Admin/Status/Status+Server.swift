internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

extension Status {
    /// What the server says of itself now.
    ///
    /// - Parameter sessions: those that run.
    init(_ server: ProxyServer, _ sessions: [SessionInfo], _ process: ServedProcess, _ history: History) {
        let statistics = server.statistics
        self.init(
            version: process.version,
            libuv: ProxyServer.libuvVersion,
            pid: process.pid,
            state: server.stage,
            started: process.started,
            now: .now(),
            workers: server.workers
        )
        listeners = Self.listeners(server, sessions)
        self.sessions = Sessions(
            running: statistics.active,
            limit: server.maxConnections,
            accepted: statistics[.accepted],
            ended: statistics[.ended],
            relaying: sessions.count { $0.stage == .relay },
            handshakes: sessions.count { $0.stage < .policy }
        )
        count(statistics)
        self.history = history
        let busiest = BusiestSessions(sessions)
        users = busiest.users
        destinations = busiest.destinations
        clients = busiest.clients
        limits = [Limit(name: "connections", used: statistics.active, limit: server.maxConnections)]
    }

    private static func listeners(_ server: ProxyServer, _ sessions: [SessionInfo]) -> [Listener] {
        // There are few, and a search among few takes less time than a hash.
        var listeners = server.boundAddresses.map { Listener(name: $0.description, sessions: 0) }
        for session in sessions {
            let name = session.listener
            guard let index = listeners.firstIndex(where: { $0.name == name }) else { continue }
            listeners[index].sessions += 1
        }
        return listeners
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
                ("displaced", UInt64(statistics[.displacedHandshakes])),
                ("unchecked_logins", UInt64(statistics[.uncheckedLogins])),
            ] + LimitRefusal.allCases.map { ($0.word, UInt64(statistics.refusals($0))) }
        failedLogins = UInt64(statistics[.failedLogins])
    }
}

extension LimitRefusal {
    /// As in the settings.
    fileprivate var word: String {
        switch self {
        case .connectionsPerSource: "connections_per_source"
        case .handshakesPerSource: "handshakes_per_source"
        case .newConnectionsPerSource: "new_connections_per_source"
        case .connectionsPerUser: "connections_per_user"
        case .quotaPerUser: "quota_per_user"
        }
    }
}
