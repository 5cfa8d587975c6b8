internal import Locks
internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// One thread with one loop: accepts clients, and owns their sessions until they end.
///
/// - Isolation: its thread, but for ``mailbox``.
/// - Ownership: keeps itself alive in ``run(_:)``; sessions point back unowned.
final class Worker {
    enum Command: Sendable {
        /// A connection that another worker has accepted.
        case handedOver(HandedDescriptor, from: SocketAddress)
        /// Stop listening; end what still runs after so many milliseconds.
        case stop(grace: UInt64)
        /// Ask this one from now on.
        case adopt(Policy)
        /// Names can be looked up from now on, so many at once.
        case lookupsStarted(atOnce: Int)
        /// A name that this worker has asked for.
        case nameAnswered(NameTicket, NameAnswer)
        /// A name that sessions of this worker wait for, and that the worker which was to look it up can't any more.
        case lookUp(String)
        /// What a ``CredentialStore`` says to a login that waits for it, by its number.
        case loginAnswered(UInt64, LoginVerdict)
        /// The sessions of this user have to end.
        case quotaEnded(Account)
        /// What a ``RuleSet`` says to a request.
        case requestDecided(UInt64, RuleVerdict)
        /// What a ``NameResolver`` says to a name that this worker has asked it for.
        case nameResolved(UInt64, ResolvedName)
    }

    let context: ServerContext
    private(set) var policy: Policy
    let counters: Counters
    let loop: EventLoop
    let pool: BufferPool
    let resolver: Resolver
    /// Memory for nothing until there is an association.
    private(set) lazy var datagrams = DatagramRoom()
    let logins: PendingAnswers<LoginVerdict>
    let decisions: PendingAnswers<RuleVerdict>
    private let index: Int
    private let member: Crew.Member
    private var mailbox: Mailbox<Command> { member.mailbox }
    private let didStop: @Sendable () -> Void
    private var listeners: [TCPListener] = []
    private var openListeners = 0
    private var sessions: DeadlineQueue<Session>
    /// Those that wait for a target, and those with a stream that isn't read.
    private var turns: DeadlineQueue<Session>
    /// Those that wait for bandwidth.
    private var waitingPipes = WaitingPipes()
    /// When the loop's timer fires, or later than that.
    private var timerExpiry = UInt64.max
    private var drainEnd: UInt64?
    private var isStopping = false
    private var isFinished = false
    private var acceptRetry: UInt64?
    /// When to look for peers that have vanished, while there are sessions.
    private var acknowledgementLook: UInt64?
    private let acknowledgementInterval: UInt64
    private var limitWarning = RateLimit()
    private var sourceWarning = RateLimit()
    private var pauseWarning = RateLimit()

    /// Bytes that a stream may deliver in a turn of the loop before the others get theirs.
    private static let readBudget = 512 << 10

    /// Throws where the system denies what a loop needs.
    init(
        _ index: Int,
        _ context: ServerContext,
        _ policy: Policy,
        _ counters: Counters,
        didStop: @escaping @Sendable () -> Void
    ) throws(UVError) {
        self.index = index
        self.context = context
        member = context.crew.members[index]
        self.policy = policy
        self.counters = counters
        self.didStop = didStop
        loop = try EventLoop(readBudget: Self.readBudget)
        pool = BufferPool(context.budget, context.splicing)
        let mailbox = member.mailbox
        resolver = Resolver(context.names, context.nameResolver, loop, mailbox)
        logins = PendingAnswers { mailbox.post(.loginAnswered($0, $1)) }
        decisions = PendingAnswers { mailbox.post(.requestDecided($0, $1)) }
        acknowledgementInterval = max(
            1,
            context.timeouts.unacknowledged.milliseconds / Acknowledgements.looks
        )
        sessions = DeadlineQueue { context.duration(of: $0) }
        turns = DeadlineQueue { context.duration(of: $0) }
    }

    /// Listens on the sockets, which it takes over, and serves until it is stopped.
    func run(_ sockets: [ListeningSocket]) {
        for socket in sockets {
            do {
                listeners.append(try TCPListener(socket, on: loop, delegate: self))
                openListeners += 1
            } catch {
                context.logger.error("a worker can't listen", metadata: ["error": "\(error)"])
            }
        }
        mailbox.open(on: loop)
        member.open()
        loop.run(self)
        do {
            try loop.close()
        } catch {
            preconditionFailure("a handle is open behind the end of the loop: \(error)")
        }
    }

    /// By what connections for a subject leave.
    func egress(of subject: Subject) -> EgressOptions { policy.egress(of: subject.user, subject.terms) }

    // MARK: - Sessions

    /// Hands the connection to a worker that has less to do, if there is one. Not while it stops: the others do too.
    private func place(_ accepted: consuming AcceptedDescriptor, from peer: SocketAddress) {
        guard !isStopping else {
            member.enter()
            return admit(accepted, from: peer)
        }
        let taker = context.crew.enter(acceptedBy: index)
        guard taker !== member else { return admit(accepted, from: peer) }
        let handed = HandedDescriptor(accepted)
        if taker.mailbox.post(.handedOver(handed, from: peer)) { return }
        taker.leave()
        member.enter()
        if let accepted = handed.take() { admit(accepted, from: peer) }
    }

    /// Connections still come from other workers until those stop, and are served as those that came before the stop.
    private func takeOver(_ handed: HandedDescriptor, from peer: SocketAddress) {
        guard !isStopping || drainEnd != nil, let accepted = handed.take() else { return member.leave() }
        admit(accepted, from: peer)
    }

    /// - Parameter accepted: counted among the sessions of ``member`` already.
    private func admit(_ accepted: consuming AcceptedDescriptor, from address: SocketAddress) {
        let peer = Peer(address)
        guard !isBanned(peer) else {
            member.leave()
            return counters.refusedAsBanned.add()
        }
        var places = SessionPlaces()
        if let limit = places.enter(from: peer, self) {
            member.leave()
            return noteRefused(peer, by: limit)
        }
        guard context.limit.enter() else {
            member.leave()
            places.leave(peer, self)
            return noteRefusedAtLimit()
        }
        counters.accepted.add()
        let session = Session(self, peer: peer, places)
        session.start(accepted, in: sessions.insert(session))
        if acknowledgementLook == nil { awaitAcknowledgementLook() }
    }

    private func isBanned(_ peer: Peer) -> Bool {
        policy.loginBan != nil
            && context.throttle.withLock { $0.isBanned(ClientSource(peer), now: loop.now) }
    }

    private func noteRefusedAtLimit() {
        counters.refusedAtLimit.add()
        guard let refused = limitWarning.count(now: loop.now) else { return }
        context.logger.warning(
            "connections refused at the limit",
            metadata: ["limit": "\(context.limit.maximum)", "refused": "\(refused)"]
        )
    }

    private func noteRefused(_ peer: Peer, by limit: LimitRefusal) {
        counters.countRefusal(limit)
        guard let refused = sourceWarning.count(now: loop.now) else { return }
        context.logger.warning(
            "connections refused by a limit",
            metadata: ["limit": "\(limit.text)", "client": "\(peer.host)", "refused": "\(refused)"]
        )
    }

    /// Nothing of the session is open any more.
    func sessionDidEnd(_ session: Session) {
        guard let slot = session.slot else { return }
        sessions.remove(slot)
        endTurns(of: session)
        member.leave()
        context.limit.leave()
        counters.ended.add()
        counters.bytesClientToTarget.add(session.record.bytesClientToTarget)
        counters.bytesTargetToClient.add(session.record.bytesTargetToClient)
        session.record.log(to: context.logger, now: loop.now)
        if acceptRetry != nil { resumeListeners() }
        finishIfStopped()
    }

    /// - Returns: whether the source has had so many that the answer comes late.
    func noteFailedLogin(from client: Peer) -> Bool {
        counters.failedLogins.add()
        let source = ClientSource(client)
        switch context.throttle.withLock({ $0.noteFailure(of: source, now: loop.now) }) {
        case .atOnce:
            return false
        case .late:
            return true
        case .banned:
            context.logger.notice(
                "source banned: too many failed logins",
                metadata: ["client": "\(client.host)"]
            )
            return true
        }
    }

    /// The last one is handed to another thread: freeing one of 10,000 users here would hold up the sessions.
    private func adopt(_ policy: Policy) {
        let last = self.policy
        self.policy = policy
        Task { withExtendedLifetime(last) {} }
    }

    // MARK: - Time

    /// Sets the session's one deadline.
    func set(_ deadline: Deadline, for session: Session) {
        guard let slot = session.slot else { return }
        wake(at: sessions.set(slot, deadline, now: loop.now))
    }

    func clearDeadline(of session: Session) {
        if let slot = session.slot { sessions.clear(slot) }
    }

    /// ``Session/turnCame()`` will be called, once.
    ///
    /// - Parameter turn: ``Deadline/turn`` or ``Deadline/look``.
    func await(_ turn: Deadline, for session: Session) {
        let slot = session.turnSlot ?? turns.insert(session)
        session.turnSlot = slot
        wake(at: turns.set(slot, turn, now: loop.now))
    }

    /// ``Pipe/bandwidthMayHaveCome()`` will be called, once: at that time, or within a second, so that a pipe that is
    /// closed meanwhile isn't kept for long.
    func wake(_ pipe: Pipe, at time: UInt64) {
        let time = min(time, loop.now + 1000)
        waitingPipes.insert(pipe, at: time)
        wake(at: time)
    }

    private func awaitAcknowledgementLook() {
        let time = loop.now + acknowledgementInterval
        acknowledgementLook = time
        wake(at: time)
    }

    private func lookForVanishedPeers() {
        acknowledgementLook = nil
        guard sessions.count > 0 else { return }
        for session in sessions.owners { session.lookForVanishedPeers(acknowledgementInterval) }
        awaitAcknowledgementLook()
    }

    private func endTurns(of session: Session) {
        guard let slot = session.turnSlot else { return }
        session.turnSlot = nil
        turns.remove(slot)
    }

    /// Deadlines mostly move away before they come: the timer isn't touched for that, but finds out when it
    /// fires that there is nothing to do yet.
    private func wake(at expiry: UInt64) {
        guard expiry < timerExpiry else { return }
        timerExpiry = expiry
        loop.setTimer(after: expiry > loop.now ? expiry - loop.now : 0)
    }

    // MARK: - Stop

    private func stop(grace: UInt64) {
        let end = loop.now &+ grace
        drainEnd = min(drainEnd ?? .max, end)
        wake(at: drainEnd ?? end)
        guard !isStopping else { return }
        isStopping = true
        member.close()
        for listener in listeners { listener.close() }
    }

    private func finishIfStopped() {
        guard isStopping, !isFinished, openListeners == 0, sessions.count == 0, mailbox.closeIfEmpty()
        else { return }
        isFinished = true
        drainEnd = nil
        resolver.close()
        loop.finish()
        didStop()
    }

    private func resumeListeners() {
        acceptRetry = nil
        if !isStopping { for listener in listeners { listener.resume() } }
    }
}

// MARK: - EventLoopDelegate

extension Worker: EventLoopDelegate {
    func loopWoken() {
        for command in mailbox.takeAll() {
            switch command {
            case .handedOver(let handed, let peer): takeOver(handed, from: peer)
            case .stop(let grace): stop(grace: grace)
            case .requestDecided(let number, let verdict): decisions.pass(verdict, to: number)
            case .nameResolved(let number, let answer): resolver.pass(answer, to: number)
            case .adopt(let policy): adopt(policy)
            case .lookupsStarted(let count): resolver.open(atOnce: count)
            case .nameAnswered(let ticket, let answer): resolver.pass(answer, to: ticket)
            case .lookUp(let name): resolver.takeOver(name)
            case .loginAnswered(let number, let verdict): logins.pass(verdict, to: number)
            case .quotaEnded(let account): for session in sessions.owners { session.quotaDidEnd(of: account) }
            }
        }
        finishIfStopped()
    }

    func loopTimerFired() {
        timerExpiry = .max
        while let (session, deadline) = sessions.takeExpired(now: loop.now) {
            session.deadlineDidPass(deadline)
        }
        while let (session, _) = turns.takeExpired(now: loop.now) {
            if !session.turnCame() { endTurns(of: session) }
        }
        while let pipe = waitingPipes.takeReady(now: loop.now) { pipe.bandwidthMayHaveCome() }
        if let end = drainEnd, end <= loop.now {
            drainEnd = nil
            for session in sessions.owners { session.end(.stopped) }
        }
        if let retry = acceptRetry, retry <= loop.now { resumeListeners() }
        if let time = acknowledgementLook, time <= loop.now { lookForVanishedPeers() }
        let expiries = [
            sessions.next, turns.next, waitingPipes.next, drainEnd, acceptRetry, acknowledgementLook,
        ]
        for expiry in expiries {
            if let expiry { wake(at: expiry) }
        }
    }
}

// MARK: - TCPListenerDelegate

extension Worker: TCPListenerDelegate {
    func listener(
        _ listener: TCPListener,
        didAccept descriptor: consuming AcceptedDescriptor,
        from peer: SocketAddress
    ) {
        place(descriptor, from: peer)
    }

    /// Accepting goes on as soon as a session has ended, or after a second, should others have freed some.
    func listener(_ listener: TCPListener, didPauseFor error: UVError) {
        if pauseWarning.count(now: loop.now) != nil {
            context.logger.warning("accepting pauses", metadata: ["error": "\(error)"])
        }
        acceptRetry = loop.now + 1000
        wake(at: loop.now + 1000)
    }

    func listenerDidClose(_ listener: TCPListener) {
        openListeners -= 1
        finishIfStopped()
    }
}
