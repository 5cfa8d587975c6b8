internal import Locks
internal import ProxyPolicy
public import SOCKS5Protocol
internal import UVLoop

/// All numbers of a ``ProxyServer`` at one moment, since its start and over all workers, for a metrics page or an
/// embedder's own use.
///
/// The numbers are read one after the other while the workers run: each is correct, but they may be from
/// slightly different moments. Counts never decrease.
public struct MetricsSnapshot: Sendable {
    /// One of ``Configuration/listeners``.
    public struct Listener: Sendable {
        /// ``Configuration/ListenerSettings/name``, or its address with the port that the system chose.
        public let name: String
        /// Connections that became sessions.
        public let accepted: UInt64
        /// Connections that were closed before they became sessions.
        public let refused: [(reason: ConnectionRefusal, count: UInt64)]
        /// Only results that have occurred.
        public let handshakes: [(result: HandshakeResult, count: UInt64)]
        /// Running sessions; without a command, the request hasn't arrived yet.
        public let sessions: [(command: SOCKSCommand?, count: Int)]
    }

    /// One worker.
    public struct Worker: Sendable {
        /// Duration of the callbacks of each turn of the loop, to the millisecond.
        public let turns: HistogramSnapshot
        /// The processor time of its thread, in seconds.
        public let processorTime: Double
    }

    /// One user, or several.
    public struct User: Sendable {
        /// As bytes (RFC 1929). If `nil`, these are the numbers of all other users together.
        public let name: [UInt8]?
        /// Running sessions with a request.
        public let sessions: Int
        /// Relayed payload; it grows while sessions are running.
        public let bytesClientToTarget: UInt64
        public let bytesTargetToClient: UInt64
        /// Bytes used in the current period; `nil` if there is no quota.
        public let quotaUsed: Int?
    }

    /// One of ``Configuration/parents``.
    public struct Parent: Sendable {
        public let name: String
        /// Whether it and the parents on the way to it work, as far as is known.
        public let isUp: Bool
        /// Sessions that it carries or is about to carry; sessions that go on to another parent don't count.
        public let sessions: Int
        /// Attempts to connect to a target through it, or to reach it.
        public let connections: [(result: ParentResult, count: UInt64)]
        /// Time from the first step until the target is connected, or the parent has answered that it can't
        /// be.
        public let connectTimes: HistogramSnapshot
    }

    public struct Lookups: Sendable {
        /// Lookups that run, and names that wait.
        public var running = 0
        public var waiting = 0
        /// Lookups that the cache has answered, and all others.
        public var cacheHits: UInt64 = 0
        public var cacheMisses: UInt64 = 0
        /// The part of these that was refused because too many were waiting.
        public var refused: UInt64 = 0
    }

    public struct Reloads: Sendable {
        public var succeeded: UInt64 = 0
        public var failed: UInt64 = 0
        /// Time since 1970 (UTC); the start counts as a successful reload.
        public var lastSuccess: Duration?
    }

    public internal(set) var statistics: Statistics
    public internal(set) var listeners: [Listener] = []
    public internal(set) var workers: [Worker] = []
    /// The first 1,000 of ``Configuration/users``, and all others together as the last entry.
    public internal(set) var users: [User] = []
    /// In the order of ``Configuration/parents``.
    public internal(set) var parents: [Parent] = []
    /// Only outcomes that have occurred. Without a command, no request had arrived.
    public internal(set) var ended: [(command: SOCKSCommand?, outcome: SessionInfo.Outcome, count: UInt64)] =
        []
    public internal(set) var replies: [(command: SOCKSCommand?, reply: Reply, count: UInt64)] = []
    public internal(set) var decisions: [(decision: PolicyDecision, count: UInt64)] = []
    public internal(set) var connectAttempts: [(isIPv6: Bool, result: ConnectResult, count: UInt64)] = []
    public internal(set) var acceptErrors: [(error: AcceptError, count: UInt64)] = []
    /// Time from the accept to the complete request.
    public internal(set) var handshakeTimes: HistogramSnapshot
    /// Time for looking up the target's name, including the time in the queue.
    public internal(set) var lookupTimes: HistogramSnapshot
    /// Time from the first attempt until the target is connected, or the attempts have failed.
    public internal(set) var dialTimes: HistogramSnapshot
    /// Duration of sessions that have ended.
    public internal(set) var sessionTimes: HistogramSnapshot
    public internal(set) var lookups = Lookups()
    public internal(set) var reloads = Reloads()
    /// Bytes in use of ``Configuration/bufferMemory``.
    public internal(set) var bufferBytes = 0
    public internal(set) var bufferLimit = 0
    /// Pipes through which bytes are spliced at this moment.
    public internal(set) var pipesInUse = 0
    /// Password hashes waiting to be computed.
    public internal(set) var loginsQueued = 0
    /// Banned sources.
    public internal(set) var bans = 0
    /// ``ProxyServer/maxConnections``.
    public internal(set) var sessionsLimit = 0
    /// Whether a stop was requested.
    public internal(set) var isDraining = false
}

extension MetricsSnapshot {
    private static let commands = [nil] + SOCKSCommand.allCases.map { Optional($0) }

    /// - Parameter listeners: the names of the listeners.
    init(_ members: [Crew.Member], listeners: [String]) {
        let all = members.map(\.counters)
        // Read first, so that never more sessions have ended than were accepted.
        statistics = Statistics(all)
        handshakeTimes = Histogram.sum(all.map(\.handshakeTimes), .stage)
        lookupTimes = Histogram.sum(all.map(\.lookupTimes), .stage)
        dialTimes = Histogram.sum(all.map(\.dialTimes), .stage)
        sessionTimes = Histogram.sum(all.map(\.sessionTimes), .session)
        workers = members.map { Worker(turns: HistogramSnapshot($0.turns), processorTime: $0.time.seconds) }
        self.listeners = listeners.enumerated().map { index, name in
            Listener(name, all.map { $0.listeners[index] })
        }
        func sum(_ count: (Counters) -> UInt64) -> UInt64 { all.reduce(0) { $0 + count($1) } }
        for command in Self.commands {
            for outcome in SessionInfo.Outcome.all {
                let count = sum { $0[outcome, command] }
                if count > 0 { ended.append((command, outcome, count)) }
            }
            for reply in Reply.allCases {
                let count = sum { $0[reply, command] }
                if count > 0 { replies.append((command, reply, count)) }
            }
        }
        for decision in PolicyDecision.all {
            let count = sum { $0[decision] }
            if count > 0 || decision == .allowed { decisions.append((decision, count)) }
        }
        for isIPv6 in [false, true] {
            for result in ConnectResult.allCases {
                connectAttempts.append((isIPv6, result, sum { $0[result, isIPv6: isIPv6] }))
            }
        }
        acceptErrors = AcceptError.allCases.map { error in (error, sum { $0[error] }) }
        pipesInUse = all.reduce(0) { $0 + $1.pipes }
    }

    mutating func add(_ shared: Shared, _ limits: LimitTable, now: UInt64) {
        bufferBytes = shared.budget.bytes
        bufferLimit = shared.budget.limit
        bans = shared.throttle.withLock { $0.bans(now: now) }
        lookups = Lookups(shared.nameCounts)
        parents = shared.parents.all.map { Parent($0) }
        let today = shared.accounts.today
        users = shared.accounts.named.map { name, account in
            let quota = limits.limits(of: name)?.quota
            return User(name, account.activity, quotaUsed: quota.map { account.used(of: $0, today) })
        }
        users.append(User(nil, shared.accounts.others, quotaUsed: nil))
    }
}

extension MetricsSnapshot.Listener {
    fileprivate init(_ name: String, _ all: [ListenerCounters]) {
        func sum(_ count: (ListenerCounters) -> UInt64) -> UInt64 { all.reduce(0) { $0 + count($1) } }
        self.name = name
        accepted = sum { $0.connectionsAccepted }
        refused = ConnectionRefusal.allCases.map { reason in (reason, sum { $0[reason] }) }
        handshakes = HandshakeResult.all.compactMap { result in
            let count = sum { $0[result] }
            return count > 0 || result == .completed ? (result, count) : nil
        }
        sessions = MetricsSnapshot.commands.map { command in
            // The parts may be inconsistent if a session begins or ends while they are read.
            (command, max(0, all.reduce(0) { $0 + $1[command] }))
        }
    }
}

extension MetricsSnapshot.Parent {
    fileprivate init(_ parent: ParentRecord) {
        let numbers = parent.counts.numbers
        name = parent.name
        isUp = parent.isUp && parent.before.allSatisfy(\.isUp)
        sessions = numbers.sessions
        connections = ParentResult.allCases.map { ($0, numbers.results[$0.rawValue]) }
        connectTimes = numbers.times
    }
}

extension MetricsSnapshot.User {
    fileprivate init(_ name: [UInt8]?, _ activity: UserActivity, quotaUsed: Int?) {
        self.name = name
        self.quotaUsed = quotaUsed
        sessions = activity.sessions
        (bytesClientToTarget, bytesTargetToClient) = activity.bytes
    }
}

extension MetricsSnapshot.Lookups {
    fileprivate init(_ counts: NameCounts) {
        self.init(
            running: counts.running.value,
            waiting: counts.waiting.value,
            cacheHits: counts.hits.value,
            cacheMisses: counts.misses.value,
            refused: counts.refusals.value
        )
    }
}
