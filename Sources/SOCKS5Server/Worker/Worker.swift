internal import Locks
internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// One thread with one loop: accepts clients, and owns their sessions until they end.
///
/// - Isolation: its own thread, except for ``mailbox``.
/// - Ownership: keeps itself alive in ``run(_:)``; sessions refer to it unowned.
final class Worker {
    let services: Services
    let sharedPorts: SharedPorts
    private let resolutions: PendingAnswers<ResolvedName>
    private let crew: Crew
    private let index: Int
    private let member: Crew.Member
    private var mailbox: Mailbox<Command> { member.mailbox }
    private let didStop: @Sendable () -> Void
    private var listeners: [(listener: Listener, socket: TCPListener)] = []
    private var openListeners = 0
    @exclusivity(unchecked) private(set) var sessions = SessionTable()
    private var drainEnd: UInt64?
    /// Whether new clients are accepted.
    var isIntakeOpen = true
    private var isStopping = false
    private var isFinished = false
    private var acceptRetry: UInt64?
    /// The next check for vanished peers, while there are sessions.
    private var acknowledgementLook: UInt64?
    private let acknowledgementInterval: UInt64
    private var longestTime: LongestTime
    /// The first worker runs the checks of all parents.
    private let checks: ParentChecks?

    /// How often a connection may be passed on at the limit, in search of an unfinished handshake: the handshake may
    /// have ended before the connection arrives.
    private static let mostPasses = 32
    /// The most bytes of a stream in one turn of the loop.
    private static let readBudget = 512 << 10

    /// Throws if the system denies a resource that a loop needs.
    init(
        _ index: Int,
        of crew: Crew,
        _ shared: Shared,
        _ policy: Policy,
        didStop: @escaping @Sendable () -> Void
    ) throws(UVError) {
        self.index = index
        self.crew = crew
        member = crew.members[index]
        self.didStop = didStop
        let loop = try EventLoop(readBudget: Self.readBudget, turns: crew.members[index].turns)
        let mailbox = member.mailbox
        resolutions = PendingAnswers(unavailable: .unavailable) { mailbox.post(.nameResolved($0, $1)) }
        let post = NamePost(
            answer: { mailbox.post(.nameAnswered($0, $1)) },
            lookUp: { mailbox.post(.lookUp($0)) }
        )
        services = Services(
            shared,
            policy,
            loop,
            Journal(worker: index, member.counters, shared.logger, shared.observer),
            Lookups(shared.names, shared.nameResolver, loop, post, resolutions),
            logins: PendingAnswers(unavailable: .unavailable) { mailbox.post(.loginAnswered($0, $1)) },
            decisions: PendingAnswers(unavailable: .unavailable) { mailbox.post(.requestDecided($0, $1)) },
            contexts: PendingAnswers(unavailable: .unavailable) { mailbox.post(.contextAnswered($0, $1)) },
            connections: PendingAnswers(unavailable: .failed(.generalFailure, nil)) {
                mailbox.post(.targetConnected($0, $1))
            }
        )
        sharedPorts = SharedPorts(services)
        acknowledgementInterval = max(
            1,
            shared.timeouts.unacknowledged.milliseconds / Acknowledgements.looks
        )
        longestTime = LongestTime(shared.timeouts.session)
        checks = index == 0 ? ParentChecks(services) : nil
    }

    private var loop: EventLoop { services.loop }
    private var clock: Clock { services.clock }
    private var counters: Counters { services.counters }

    /// Serves until it is stopped.
    ///
    /// - Parameter didOpen: called when connections can be handed to it.
    func run(didOpen: () -> Void) {
        mailbox.open(on: loop)
        member.open()
        didOpen()
        checks?.adopt(services.policy.ways.checks)
        member.time.begin()
        loop.run(self)
        member.time.end()
        do {
            try loop.close()
        } catch {
            preconditionFailure("a handle is open behind the end of the loop: \(error)")
        }
    }

    /// - Parameter socket: taken over.
    private func listen(_ listener: Listener, _ socket: ListeningSocket) {
        do throws(UVError) {
            let socket = try TCPListener(socket, on: loop, delegate: self)
            listeners.append((listener, socket))
            openListeners += 1
            // Clients that have connected already are served.
            if isStopping { socket.close() }
        } catch {
            services.logger.error("a worker can't listen", metadata: ["error": "\(error)"])
        }
    }

    /// Copies of all listening sockets, by listener, for another process.
    func copyOfListeners() -> [(listener: Int, socket: ListeningSocket)] {
        if isStopping { return [] }
        return listeners.compactMap { listener, socket in
            (try? socket.duplicated()).map { (listener.name.index, $0) }
        }
    }

    // MARK: - Sessions

    /// Hands the connection to a worker with less work, if there is one. Not while stopping, because the other workers
    /// are stopping too.
    private func place(_ accepted: consuming AcceptedDescriptor, _ arrival: Arrival) {
        guard !isStopping else {
            member.enter()
            return admit(accepted, arrival)
        }
        pass(accepted, arrival, to: crew.enter(acceptedBy: index))
    }

    /// - Parameter taker: has already counted the connection as a session.
    private func pass(
        _ accepted: consuming AcceptedDescriptor,
        _ arrival: Arrival,
        to taker: Crew.Member
    ) {
        guard taker !== member else { return admit(accepted, arrival) }
        var passed = arrival
        passed.passes += 1
        let handed = HandedDescriptor(accepted)
        if taker.mailbox.post(.handedOver(handed, passed)) { return }
        taker.leave()
        member.enter()
        passed.passes = Self.mostPasses
        if let accepted = handed.take() { admit(accepted, passed) }
    }

    /// Other workers may still hand over connections until they stop too. These are served like connections from before
    /// the stop.
    private func takeOver(_ handed: HandedDescriptor, _ arrival: Arrival) {
        guard !isStopping || drainEnd != nil, let accepted = handed.take() else { return member.leave() }
        admit(accepted, arrival)
    }

    /// - Parameter accepted: already counted among the sessions of ``member``.
    private func admit(_ accepted: consuming AcceptedDescriptor, _ arrival: Arrival) {
        if services.limit.isReached, let taker = taker(atLimit: arrival) {
            member.leave()
            return pass(accepted, arrival, to: taker)
        }
        let (peer, name) = (arrival.peer, arrival.listener.name)
        let terms = services.policy.terms(of: name)
        var places = SessionPlaces()
        let isAdmitted =
            terms.awaitsHeader
            ? services.admit(balancer: peer, at: name, under: terms, &places)
            : services.admit(peer, at: name, under: terms, &places)
        guard isAdmitted else { return member.leave() }
        guard takePlace() else {
            member.leave()
            places.leave(peer, services)
            // Another worker has taken the last place after the look above.
            if let taker = taker(atLimit: arrival) { return pass(accepted, arrival, to: taker) }
            let most = services.limit.maximum
            return services.journal.connectionRefusedAtLimit(of: most, by: name, now: clock.now)
        }
        places.keepPlace()
        let session = Session(self, services, clock.enter(), at: name, under: terms, peer: peer, places)
        sessions.insert(session)
        session.start(accepted, under: terms)
        watch(session)
    }

    /// The worker that has an unfinished handshake to displace, if this one has none. It counts the connection as a
    /// session.
    private func taker(atLimit arrival: Arrival) -> Crew.Member? {
        guard counters.handshakes == 0, arrival.passes < Self.mostPasses,
            let taker = crew.memberWithHandshakes
        else { return nil }
        taker.enter()
        return taker
    }

    /// Takes a place of the ``ConnectionLimit``, or the place of the oldest unfinished handshake, so that silent
    /// connections keep nobody out.
    ///
    /// - Returns: false if all places are taken by sessions with a request.
    func takePlace() -> Bool {
        if services.limit.enter() { return true }
        guard let slot = clock.first(with: .handshake) ?? clock.first(with: .lateRefusal) else {
            return false
        }
        services.journal.handshakeDisplaced(atLimit: services.limit.maximum, now: clock.now)
        sessions[slot]?.giveWay()
        return true
    }

    /// The session is already counted among those of ``member`` and of all workers.
    private func takeOver(_ handed: HandedSession) {
        guard !isStopping || drainEnd != nil, let accepted = handed.client.take() else {
            var (places, record) = (handed.places, handed.record)
            places.leave(record.client, services)
            record.outcome = .stopped
            services.journal.sessionDidEnd(SessionInfo(record, now: clock.now), by: record.listener)
            return member.leave()
        }
        let session = Session(self, services, clock.enter(), handed)
        sessions.insert(session)
        session.goOn(accepted, through: handed.client.takeCodec())
        watch(session)
    }

    func isForeign(portAt local: SocketAddress) -> Bool {
        services.udp.sharedPort != nil && crew.owner(ofPortAt: local) !== member
    }

    func handOver(_ session: HandedSession, toOwnerOfPortAt local: SocketAddress) -> Bool {
        let owner = crew.owner(ofPortAt: local)
        owner.enter()
        if owner.mailbox.post(.associate(session)) { return true }
        owner.leave()
        return false
    }

    /// No part of the session is open any more.
    func sessionDidEnd(_ session: Session) {
        sessions.remove(session)
        clock.leave(session.slot)
        member.leave()
        if session.hasBegun && !session.isHandedOver {
            services.journal.sessionDidEnd(session.info(), by: session.record.listener)
        }
        if acceptRetry != nil { resumeListeners() }
        finishIfStopped()
    }

    /// The previous policy is released on another thread: freeing one with 10,000 users here would delay the sessions.
    private func adopt(_ policy: Policy) {
        let last = services.policy
        services.policy = policy
        if !isStopping { checks?.adopt(policy.ways.checks) }
        Task { withExtendedLifetime(last) {} }
    }

    /// Goes through all sessions once, for any number of users.
    private func endSessions(of usedUp: [Account]) {
        guard !usedUp.isEmpty else { return }
        let accounts = Set(usedUp.map { ObjectIdentifier($0) })
        for session in sessions.all { session.quotaDidEnd(of: accounts) }
    }

    // MARK: - Time

    private func watch(_ session: Session) {
        if acknowledgementLook == nil { awaitAcknowledgementLook() }
        if let look = longestTime.sessionDidBegin(session.record.began) { clock.wake(at: look) }
    }

    private func endOverlongSessions() {
        for session in sessions.all where longestTime.isOver(session.record.began, now: clock.now) {
            session.lastsTooLong()
        }
        let left = sessions.all.filter { !$0.machine.hasEnded }.map(\.record.began)
        longestTime.didLook(oldest: left.min(), now: clock.now)
    }

    private func awaitAcknowledgementLook() {
        let time = clock.now + acknowledgementInterval
        acknowledgementLook = time
        clock.wake(at: time)
    }

    private func lookForVanishedPeers() {
        acknowledgementLook = nil
        guard sessions.count > 0 else { return }
        for session in sessions.all { session.lookForVanishedPeers(acknowledgementInterval) }
        awaitAcknowledgementLook()
    }

    // MARK: - Stop

    private func stop(grace: UInt64, _ how: TCPListener.End) {
        let end = clock.now &+ grace
        drainEnd = min(drainEnd ?? .max, end)
        clock.wake(at: drainEnd ?? end)
        guard !isStopping else { return }
        isStopping = true
        checks?.close()
        member.close()
        for (_, socket) in listeners { socket.close(how) }
    }

    private func finishIfStopped() {
        guard isStopping, !isFinished, openListeners == 0, sessions.count == 0, mailbox.closeIfEmpty()
        else { return }
        isFinished = true
        drainEnd = nil
        services.lookups.close()
        loop.finish()
        didStop()
    }

    private func resumeListeners() {
        acceptRetry = nil
        if !isStopping { for (_, socket) in listeners { socket.resume() } }
    }
}

// MARK: - EventLoopDelegate

extension Worker: SessionKeeper {}

extension Worker: EventLoopDelegate {
    func loopWoken() {
        var usedUp: [Account] = []
        for command in mailbox.takeAll() {
            switch command {
            case .handedOver(let handed, let arrival): takeOver(handed, arrival)
            case .associate(let handed): takeOver(handed)
            case .control(let control): take(control)
            case .listen(let listener, let socket): listen(listener, socket)
            case .stop(let grace, let end): stop(grace: grace, end)
            case .requestDecided(let number, let verdict): services.decisions.pass(verdict, to: number)
            case .contextAnswered(let number, let answer): services.contexts.pass(answer, to: number)
            case .targetConnected(let number, let answer): services.connections.pass(answer, to: number)
            case .nameResolved(let number, let answer): resolutions.pass(answer, to: number)
            case .adopt(let policy): adopt(policy)
            case .lookupsStarted(let count): services.lookups.open(atOnce: count)
            case .nameAnswered(let ticket, let found): services.lookups.pass(found, to: ticket)
            case .lookUp(let name): services.lookups.takeOver(name)
            case .loginAnswered(let number, let verdict): services.logins.pass(verdict, to: number)
            case .quotaEnded(let account): usedUp.append(account)
            }
        }
        endSessions(of: usedUp)
        finishIfStopped()
    }

    func loopTimerFired() {
        clock.timerDidFire()
        while let (slot, deadline) = clock.takeDeadline() { sessions[slot]?.deadlineDidPass(deadline) }
        while let slot = clock.takeTurn() { giveTurn(slot) }
        while let waiter = clock.takeWaiter() { waiter.bandwidthMayHaveCome() }
        if let end = drainEnd, end <= clock.now {
            drainEnd = nil
            for session in sessions.all { session.stop() }
        }
        if let retry = acceptRetry, retry <= clock.now { resumeListeners() }
        if let time = acknowledgementLook, time <= clock.now { lookForVanishedPeers() }
        if let time = longestTime.look, time <= clock.now { endOverlongSessions() }
        checks?.timeDidCome()
        clock.rearm()
        if let drainEnd { clock.wake(at: drainEnd) }
        if let acceptRetry { clock.wake(at: acceptRetry) }
        if let acknowledgementLook { clock.wake(at: acknowledgementLook) }
        if let look = longestTime.look { clock.wake(at: look) }
        checks?.wake()
    }

    private func giveTurn(_ slot: Clock.Slot) {
        guard let session = sessions[slot] else { return }
        let next = session.turnCame()
        guard sessions[slot] === session else { return }
        if let next { clock.awaitTurn(next, of: slot) } else { clock.endTurns(slot) }
    }
}

// MARK: - TCPListenerDelegate

extension Worker: TCPListenerDelegate {
    func listener(
        _ socket: TCPListener,
        didAccept descriptor: consuming AcceptedDescriptor,
        from peer: SocketAddress
    ) {
        guard let listener = listeners.first(where: { $0.socket === socket })?.listener else {
            preconditionFailure("a connection by a listener that the worker doesn't have")
        }
        // Connections that aren't served are closed, so that the client tries another server.
        guard isIntakeOpen else {
            return services.journal.connectionRefusedWhileDraining(by: listener.name)
        }
        let client = socket.isUnix ? .local(uid: descriptor.user) : Peer(peer)
        place(descriptor, Arrival(listener: listener, peer: client))
    }

    /// Accepting continues as soon as a session has ended, or after a second in case others have freed descriptors.
    func listener(_ listener: TCPListener, didPauseFor error: UVError) {
        services.journal.acceptingDidPause(for: error, now: clock.now)
        acceptRetry = clock.now + 1000
        clock.wake(at: clock.now + 1000)
    }

    func listenerDidClose(_ listener: TCPListener) {
        openListeners -= 1
        finishIfStopped()
    }
}
