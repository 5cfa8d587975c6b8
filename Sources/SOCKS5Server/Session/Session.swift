internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// One client, from the accept to the end: performs the actions of ``SessionMachine``, and leaves bytes and streams to
/// its ``Relay``.
///
/// - Isolation: the worker's thread.
/// - Ownership: held by the worker's table until none of its streams and sockets is open.
final class Session {
    // The members are ordered to leave no gaps: there may be many sessions.
    unowned let keeper: any SessionKeeper
    let services: Services
    @exclusivity(unchecked) var record: SessionRecord
    /// Whether there is a client. Before that, a load balancer has connected, and nothing is counted or logged as a
    /// session.
    var hasBegun = true
    /// Whether the client has moved to another worker, so that nothing is counted or logged here.
    var isHandedOver = false
    /// The number of relay and association that aren't closed yet.
    @exclusivity(unchecked) var openParts: UInt8 = 0
    /// Its place in the clock, and in the worker's table.
    let slot: Clock.Slot
    @exclusivity(unchecked) var places: SessionPlaces
    @exclusivity(unchecked) var machine: SessionMachine
    @exclusivity(unchecked) var front: Front
    /// A handshake ends with the policy that it began with; everything before and after it uses the current one.
    @exclusivity(unchecked) var handshakePolicy: Policy?
    @exclusivity(unchecked) var pending = PendingAnswer.nothing
    /// Set from ``start(_:)`` on.
    @exclusivity(unchecked) private(set) var relay: Relay?
    @exclusivity(unchecked) var association: UDPAssociation?
    /// For a client that logs in by GSSAPI.
    @exclusivity(unchecked) var login: ContextLogin?

    /// - Parameter terms: say whether the peer must announce the client by a PROXY header.
    init(
        _ keeper: any SessionKeeper,
        _ services: Services,
        _ slot: Clock.Slot,
        at listener: ListenerName,
        under terms: ListenerTerms,
        peer: Peer,
        _ places: SessionPlaces
    ) {
        let awaitsHeader = terms.awaitsHeader
        self.keeper = keeper
        self.services = services
        self.slot = slot
        self.places = places
        hasBegun = !awaitsHeader
        machine = SessionMachine(awaitsHeader: awaitsHeader)
        front = .choosing(awaitsHeader ? .nobody : FrontChoice(terms, peer))
        handshakePolicy = awaitsHeader ? nil : services.policy
        record = SessionRecord(
            id: services.journal.nextSession(),
            listener: listener,
            client: peer,
            began: services.clock.now
        )
    }

    /// Continues a session of another worker, see ``goOn(_:)``.
    init(_ keeper: any SessionKeeper, _ services: Services, _ slot: Clock.Slot, _ handed: HandedSession) {
        self.keeper = keeper
        self.services = services
        self.slot = slot
        places = handed.places
        machine = SessionMachine(handedOver: .udpAssociate)
        front = handed.front
        record = handed.record
    }

    /// Begins to read from an accepted connection.
    ///
    /// - Parameter terms: the terms of its listener.
    func start(_ accepted: consuming AcceptedDescriptor, under terms: ListenerTerms) {
        services.clock.set(.handshake, for: slot)
        guard hasBegun else {
            // The codec starts after the header, which isn't protected.
            _ = open(accepted, through: nil)
            return
        }
        noteBegin()
        do throws(CodecFailure) {
            let codec = try terms.codecs?.makeCodec()
            _ = open(accepted, through: codec)
        } catch {
            relayDidEnd(.undecodable(by: .client, error))
            if openParts == 0 { didCloseEverything() }
        }
    }

    /// Carries out the UDP ASSOCIATE request of a client that another worker has handed over.
    func goOn(_ accepted: consuming AcceptedDescriptor, through codec: (any StreamCodec)?) {
        if open(accepted, through: codec) { associate(subject(.udpAssociate)) }
    }

    /// - Returns: false if the session has ended.
    private func open(_ accepted: consuming AcceptedDescriptor, through codec: (any StreamCodec)?) -> Bool {
        do throws(UVError) {
            let relay = try Relay(self, services.loop, services.clock, slot, services.pool, services.counters)
            self.relay = relay
            openParts = 1
            try relay.open(accepted, through: codec)
            return true
        } catch {
            perform(machine.on(.relayEnded(.completed)))
            if openParts == 0 { didCloseEverything() }
            return false
        }
    }

    func perform(_ action: SessionMachine.Action) {
        switch action {
        case .none: break
        case .answer(let bytes): answer(bytes)
        case .verify(let credentials): verify(credentials)
        case .establish(let token): establish(token)
        case .agree(let token): agree(to: token)
        case .advance(let step): perform(machine.on(.message(front.advanced(step))))
        case .protect(let bytes): protect(behind: bytes)
        case .conclude(let isRight): perform(machine.on(.message(front.decided(isRight: isRight))))
        case .noteLoginFailure(let message): noteLoginFailure(message)
        case .delayRefusal: delayRefusal()
        case .judge(let request): judge(request)
        case .awaitRuleSet: awaitTarget(.dial)
        case .open(let intent): open(intent)
        case .announce(let address): relay?.targetToClient.send(success(address))
        case .timeOutConnector: timeOutConnector()
        // The caller has the target and continues.
        case .relay, .associate: break
        case .tell(let address): tell(address)
        case .refuse(let answer, let outcome): refuse(answer, outcome)
        case .leave: close(byReset: false)
        case .refuseHeader(let reason): refuseHeader(reason)
        case .end(let outcome, let byReset): end(outcome, byReset)
        }
    }

    // MARK: - Handshake

    func receive() {
        guard let pipe = relay?.clientToTarget else { return }
        if machine.awaitsHeader {
            receiveHeader(from: pipe)
            guard machine.isNegotiating, !pipe.isEmpty else { return }
        }
        if pipe.isEmpty { return }
        record.enter(.handshake)
        if relay?.client.isCoded == true { noteProvenClient() }
        while machine.isNegotiating {
            let (consumed, action) = pipe.withHeldBytes {
                let result = front.receive($0)
                record.note(result.action, of: front, to: $0)
                return result
            }
            pipe.consume(consumed)
            if case .receiveMore = action { return pipe.awaitMore() }
            perform(machine.on(.message(action)))
        }
    }

    private func answer(_ bytes: [UInt8]) {
        noteMethod()
        relay?.targetToClient.send(bytes)
    }

    private func noteMethod() {
        guard record.method == nil else { return }
        record.method = front.isEstablishingContext ? .gssapi : handshakePolicy?.method(of: record)
    }

    /// Whether a login is being checked by a policy whose users may be out of date.
    var isLoginPending: Bool {
        switch pending {
        case .login, .context: true
        case .nothing, .decision, .target: false
        }
    }

    /// - Parameter policy: requires logins if the policy that the handshake began with does.
    func adoptForHandshake(_ policy: Policy) {
        let asksForLogin = policy.credentials != nil || policy.terms(of: record.listener).contexts != nil
        if handshakePolicy != nil, asksForLogin { handshakePolicy = policy }
    }

    private func verify(_ credentials: Credentials) {
        record.loginDidBegin(now: services.clock.now)
        guard let policy = handshakePolicy else { preconditionFailure("a login that nobody asked for") }
        let login = policy.login(credentials, of: &record)
        let username = login.username
        // HTTP has no other login, even if all users are known by GSSAPI.
        guard let store = policy.credentials else { return loginDidEnd(.refused, username) }
        switch store.verify(login) {
        case .now(let verdict):
            loginDidEnd(verdict, username)
        case .later(let answer):
            let ticket = services.logins.begin(answer) { [unowned self] verdict in
                pending = .nothing
                loginDidEnd(verdict, username)
                goOnBehindLogin()
            }
            pending = .login(ticket)
            relay?.clientToTarget.holdSparingly()
        }
    }

    /// Processes the bytes that the client has sent meanwhile.
    func goOnBehindLogin() {
        receive()
        if machine.isNegotiating, relay?.clientToTarget.sourceHasEnded == true {
            perform(machine.on(.clientEnded(isHalfClose: false)))
        }
    }

    private func loginDidEnd(_ verdict: LoginVerdict, _ username: [UInt8]) {
        record.loginDidEnd(now: services.clock.now)
        switch verdict {
        case .accepted: loginDidSucceed(username, nil)
        case .granted(let terms): loginDidSucceed(username, terms)
        case .refused: services.journal.loginDidFail(record, as: username)
        case .unavailable: services.counters.add(.uncheckedLogins)
        }
        perform(machine.on(.loginAnswered(verdict)))
    }

    private func loginDidSucceed(_ username: [UInt8], _ terms: UserTerms?) {
        services.counters.add(.succeededLogins)
        record.note(username, terms)
    }

    private func delayRefusal() {
        services.clock.set(.lateRefusal, for: slot)
        relay?.clientToTarget.discard()
        relay?.clientToTarget.holdBack()
    }

    // MARK: - Request

    private func judge(_ request: SOCKSRequest) {
        noteMethod()
        if let spoken = front.protocol { services.counters.add(spoken.requests) }
        record.requestDidCome(request, now: services.clock.now)
        services.journal.requestDidCome(
            request.command,
            by: record.listener,
            handshake: record.times.handshake
        )
        handshakePolicy = nil
        places.requestDidCome(services)
        guard let pipe = relay?.clientToTarget else { return }
        if pipe.sourceHasEnded {
            clientDidEnd()
            if machine.hasEnded { return }
        } else {
            places.endHandshake(of: record.client, services)
        }
        guard let intent = Intent(request) else { return perform(machine.on(.failed(.hostUnreachable))) }
        let (subject, access) = (Subject(record, request.command), services.policy.access)
        if let denial = access.denial(of: intent, to: subject) { return perform(machine.on(.denied(denial))) }
        if access.mayReport(under: subject.terms) {
            note(access.report(of: intent, to: subject), on: subject)
        }
        if let limit = places.enter(as: record.username, record.terms, services) {
            return perform(machine.on(.denied(.limit(limit))))
        }
        switch access.answer(to: intent, by: subject) {
        case .now(.allowed): perform(machine.on(.allowed(intent)))
        case .now(.denied): perform(machine.on(.denied(.ruleSet)))
        case .now(.unavailable): perform(machine.on(.failed(.generalFailure)))
        case .later(let answer):
            let ticket = services.decisions.begin(answer) { [unowned self] verdict in
                pending = .nothing
                perform(machine.on(.ruleSetAnswered(verdict)))
            }
            pending = .decision(ticket)
            perform(machine.on(.undecided(intent)))
        }
    }

    private func open(_ intent: Intent) {
        let subject = subject(intent.command)
        switch intent {
        case .connect(let target):
            connect(by: services.connector(self, to: target, .connect, subject), .dial)
        case .bind(let target):
            // For a process on this machine, only the peer's address could determine the listening address.
            let hasPlace = record.connected.address != nil || target != nil
            guard services.bind.isEnabled, let client = relay?.client,
                let bindWay = services.bindWay(self, target, subject)
            else { return perform(machine.on(.failed(.commandNotSupported))) }
            let way: Ways.Way?
            switch bindWay {
            case .elsewhere(let connector): return connect(by: connector, .bind)
            case .straight where !hasPlace: return perform(machine.on(.failed(.commandNotSupported)))
            case .straight(let straight): way = straight
            }
            do throws(UVError) {
                let clientSide = try client.localAddress()
                let awaiting = Await(
                    self,
                    services,
                    from: target,
                    for: subject,
                    by: way,
                    clientSide: clientSide
                )
                connect(by: awaiting, .bind)
            } catch {
                perform(machine.on(.failed(Reply(error))))
            }
        case .associate:
            associate(subject)
        case .resolve(let target):
            connect(by: services.connector(self, to: target, .resolve, subject), .dial)
        }
    }

    private func connect(by connector: any Connector, _ deadline: Deadline) {
        pending = .target(connector)
        awaitTarget(deadline)
        connector.start()
    }

    private func awaitTarget(_ deadline: Deadline) {
        services.clock.set(deadline, for: slot)
        services.clock.awaitTurn(.turn, of: slot)
    }

    private func timeOutConnector() {
        guard case .target(let connector) = pending else { return }
        let reply = connector.timeOut()
        noteRoute()
        pending = .nothing
        perform(machine.on(.failed(reply)))
    }

    /// Sends a success reply with an address, then leaves client and target to the relay.
    ///
    /// - Parameter early: bytes that the target has sent already.
    func relay(_ target: TCPStream, boundTo bound: Destination, _ early: [UInt8]) {
        guard case .relay = machine.on(.opened) else { return services.closer.close(target) }
        record.enter(.relay)
        noteReportOnAddress()
        services.counters.add(.allowed)
        places.endHandshake(of: record.client, services)
        relay?.begin(with: target, success(bound), early, places.tally(services)) { meter(of: $0) }
    }

    func meter(of direction: Direction) -> Meter? {
        places.meter(of: direction, at: record.listener, services)
    }

    private func tell(_ address: SocketAddress) {
        services.counters.add(.allowed)
        sendLast(success(Destination(SocketAddress(host: address.host, port: 0))))
    }

    func success(_ bound: Destination) -> [UInt8] {
        services.counters.add(.succeeded, to: record.command)
        record.successDidGo(now: services.clock.now)
        return front.response(.succeeded, boundTo: bound)
    }

    // MARK: - The end

    private func refuse(_ answer: SessionMachine.LastAnswer, _ outcome: SessionOutcome) {
        giveUpPending()
        if case .denied(let denial) = outcome { services.journal.requestDenied(denial) }
        note(outcome)
        if case .reply(let reply) = answer {
            services.counters.add(reply, to: record.command)
            record.reply = reply
        }
        sendLast(front.bytes(of: answer))
    }

    private func sendLast(_ message: [UInt8]) {
        places.endHandshake(of: record.client, services)
        services.clock.set(.refusal, for: slot)
        relay?.refuse(sending: message)
        relay?.clientToTarget.release()
    }

    private func end(_ outcome: SessionOutcome, _ byReset: Bool) {
        giveUpPending()
        if case .quotaUsedUp = outcome { services.counters.add(.endedByQuota) }
        note(outcome)
        close(byReset: byReset)
    }

    func close(byReset: Bool) {
        noteIdle()
        services.clock.clearDeadline(of: slot)
        association?.close()
        relay?.close(byReset: byReset)
        // A client that comes in this turn of the loop finds the place, and isn't refused.
        places.leaveLimit(services)
    }

    private func giveUpPending() {
        noteRoute()
        let last = pending
        pending = .nothing
        last.giveUp(services)
    }

    func partDidClose() {
        openParts -= 1
        if openParts == 0 && machine.hasEnded { didCloseEverything() }
    }

    private func didCloseEverything() {
        places.leave(record.client, services)
        relay?.giveMemoryBack()
        keeper.sessionDidEnd(self)
    }
}
