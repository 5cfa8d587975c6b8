internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

/// Gets all events of a worker's sessions: counts them, logs them, and tells an embedder.
///
/// - Isolation: the worker's thread.
final class Journal {
    let counters: Counters
    let logger: Logger
    private let observer: (any SessionObserver)?
    let worker: Int
    private(set) var recent = RecentSessions()
    private var lastSession: UInt64
    private var limitWarning = RateLimit()
    private var displacedWarning = RateLimit()
    /// One for each limit: a line about one limit must not suppress a line about another.
    private var sourceWarnings: [LimitRefusal: RateLimit] = [:]
    private var strangerWarning = RateLimit()
    private var headerWarning = RateLimit()
    private var pauseWarning = RateLimit()
    private var wayWarning = RateLimit()
    private var refusals = Refusals()

    /// - Parameter worker: its number, which makes its sessions' numbers unique.
    init(worker: Int, _ counters: Counters, _ logger: Logger, _ observer: (any SessionObserver)?) {
        self.counters = counters
        self.logger = logger
        self.observer = observer
        self.worker = worker
        lastSession = SessionRecord.firstID(ofWorker: worker)
    }

    // MARK: - Sessions

    /// The number of a new session.
    func nextSession() -> UInt64 {
        lastSession += 1
        return lastSession
    }

    /// - Parameter info: the session's info; evaluated only if there is an observer.
    func sessionDidBegin(by listener: ListenerName, _ info: @autoclosure () -> SessionInfo) {
        counters.add(.accepted)
        counters.listeners[listener.index].sessionDidBegin()
        observer?.observe(.began(info()))
    }

    /// - Parameter handshake: milliseconds since the accept.
    func requestDidCome(_ command: SOCKSCommand, by listener: ListenerName, handshake: UInt64?) {
        counters.listeners[listener.index].requestDidCome(command)
        if let handshake { counters.handshakeTimes.observe(milliseconds: handshake) }
    }

    func requestDenied(_ denial: Denial) {
        if case .limit(let limit) = denial { counters.add(limit) }
        if let decision = PolicyDecision(denial) { counters.add(decision) }
    }

    /// A report-only rule would have denied the request.
    ///
    /// - Parameter record: includes the rule.
    func requestReported(_ record: SessionRecord, _ report: Denial, now: UInt64) {
        if let decision = PolicyDecision(reported: report) { counters.add(decision) }
        refusals.noteReport(record, now: now, logger)
    }

    /// Datagrams of an association to a target are denied.
    ///
    /// - Parameter rule: the name in logs of the rule that denies them, if it is a rule.
    func datagramsDenied(
        _ record: SessionRecord,
        to target: Target,
        _ denial: Denial,
        _ rule: String?,
        now: UInt64
    ) {
        refusals.noteDatagrams(record, to: target, denial, rule, now: now, logger)
    }

    /// The target is connected, or has failed. The time for which BIND waits for its peer doesn't count as
    /// dialling.
    func routeDidEnd(_ times: SessionTimes, of command: SOCKSCommand?) {
        if let time = times.lookup { counters.lookupTimes.observe(milliseconds: time) }
        if command != .bind, let time = times.dial { counters.dialTimes.observe(milliseconds: time) }
    }

    func sessionDidEnd(_ session: SessionInfo, by listener: ListenerName) {
        let (outcome, command) = (session.outcome, session.command)
        counters.listeners[listener.index].sessionDidEnd(command, outcome)
        counters.sessionTimes.observe(milliseconds: session.milliseconds)
        if let outcome { counters.add(outcome, of: command) }
        counters.publishEnd()
        observer?.observe(.ended(session))
        session.log(to: logger)
        // Port scans and health checks aren't kept, since there may be one each second.
        if outcome != .probe { recent.add(session) }
    }

    /// A session has an outcome; its reply may not be sent yet.
    ///
    /// - Parameter now: milliseconds on the loop's clock.
    func sessionDidFail(_ record: SessionRecord, now: UInt64) {
        refusals.note(record, now: now, logger)
    }

    /// Each failure has its own line, whose words must not change: programs that ban clients read them.
    ///
    /// - Parameter user: as the client has sent it; `nil` if it couldn't be read.
    func loginDidFail(_ record: SessionRecord, as user: [UInt8]?) {
        var metadata: Logger.Metadata = ["client": "\(record.client)", "id": "\(record.id)"]
        if let user { metadata["user"] = "\(String(decoding: user, as: UTF8.self).escapedForDoubleQuotes)" }
        logger.notice("login failed", metadata: metadata)
    }

    /// A route can't carry the datagrams that were sent to it.
    ///
    /// - Parameter reason: constant text.
    func datagramsLost(_ way: WayTaken, _ reason: String, now: UInt64) {
        guard let events = wayWarning.count(now: now) else { return }
        var metadata: Logger.Metadata = [
            "route": "\(way.route)", "reason": "\(reason)", "events": "\(events)",
        ]
        if let parent = way.parent { metadata["parent"] = "\(parent.escapedForDoubleQuotes)" }
        logger.warning("datagrams dropped on a route", metadata: metadata)
    }

    // MARK: - Connections that become no session

    func connectionRefusedWhileDraining(by listener: ListenerName) {
        counters.add(.refusedWhileDraining)
        counters.listeners[listener.index].add(.draining)
    }

    func connectionRefusedAsBanned(by listener: ListenerName) {
        counters.add(.refusedAsBanned)
        counters.listeners[listener.index].add(.banned)
    }

    func connectionRefusedToStranger(_ peer: Peer, by listener: ListenerName, now: UInt64) {
        counters.add(.refusedToStrangers)
        counters.listeners[listener.index].add(.stranger)
        guard let refused = strangerWarning.count(now: now) else { return }
        logger.notice(
            "connections refused: not a client of the listener",
            metadata: ["listener": "\(listener.text)", "client": "\(peer.host)", "refused": "\(refused)"]
        )
    }

    /// - Parameter peer: the connected peer, which may not be a load balancer.
    func connectionRefused(
        _ peer: Peer,
        for reason: ConnectionRefusal,
        by listener: ListenerName,
        now: UInt64
    ) {
        counters.add(.refusedForHeader)
        counters.listeners[listener.index].add(reason)
        guard let refused = headerWarning.count(now: now) else { return }
        logger.notice(
            "connections refused: no good PROXY header",
            metadata: [
                "listener": "\(listener.text)", "client": "\(peer.host)", "reason": "\(reason.word)",
                "refused": "\(refused)",
            ]
        )
    }

    /// - Parameter maximum: the most sessions allowed.
    func connectionRefusedAtLimit(of maximum: Int, by listener: ListenerName, now: UInt64) {
        counters.add(.refusedAtLimit)
        counters.listeners[listener.index].add(.connections)
        guard let refused = limitWarning.count(now: now) else { return }
        logger.warning(
            "connections refused at the limit",
            metadata: ["limit": "\(maximum)", "refused": "\(refused)"]
        )
    }

    func connectionRefused(_ peer: Peer, by limit: LimitRefusal, at listener: ListenerName, now: UInt64) {
        counters.add(limit)
        counters.listeners[listener.index].add(ConnectionRefusal(limit))
        guard let refused = sourceWarnings[limit, default: RateLimit()].count(now: now) else { return }
        logger.warning(
            "connections refused by a limit",
            metadata: [
                "listener": "\(listener.text)", "client": "\(peer.host)", "limit": "\(limit.text)",
                "refused": "\(refused)",
            ]
        )
    }

    /// - Parameter maximum: the most sessions allowed.
    func handshakeDisplaced(atLimit maximum: Int, now: UInt64) {
        counters.add(.displacedHandshakes)
        guard let displaced = displacedWarning.count(now: now) else { return }
        logger.warning(
            "handshakes ended at the limit, for new connections",
            metadata: ["limit": "\(maximum)", "ended": "\(displaced)"]
        )
    }

    func acceptingDidPause(for error: UVError, now: UInt64) {
        counters.add(AcceptError(error))
        guard pauseWarning.count(now: now) != nil else { return }
        logger.warning("accepting pauses", metadata: ["error": "\(error)"])
    }
}
