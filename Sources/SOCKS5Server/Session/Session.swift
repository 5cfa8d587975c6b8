internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// One client, from accept to the end: decides what becomes of it, and leaves bytes and streams to its ``Relay``.
///
/// - Isolation: the worker's thread.
/// - Ownership: the worker's table holds the session until no stream of it is open.
final class Session {
    private enum Stage {
        case negotiating(Negotiation)
        case opening(any TargetSource)
        case relaying
        /// Datagrams are relayed; the client's stream only tells when that is over.
        case associated
        /// A failure reply was sent; the client is to read it and leave.
        case refusing
        /// Ending, or not started.
        case closing
    }

    private unowned let worker: Worker
    /// The place in the worker's table, from ``start(_:in:)`` on.
    private(set) var slot: DeadlineQueue<Session>.Slot?
    /// The place among those that wait for a target; the worker's to set.
    var turnSlot: DeadlineQueue<Session>.Slot?
    private var stage = Stage.closing
    /// From ``start(_:in:)`` on.
    private(set) var relay: Relay?
    private var association: UDPAssociation?
    private var openHandles = 0
    private(set) var record: SessionRecord
    private var places: SessionPlaces

    init(_ worker: Worker, peer: Peer, _ places: SessionPlaces) {
        self.worker = worker
        self.places = places
        record = SessionRecord(client: peer, began: worker.loop.now)
    }

    /// Begins to negotiate on an accepted connection.
    func start(_ accepted: consuming AcceptedDescriptor, in slot: DeadlineQueue<Session>.Slot) {
        self.slot = slot
        do throws(UVError) {
            let relay = try Relay(self, worker)
            self.relay = relay
            stage = .negotiating(Negotiation(self, worker, relay))
            worker.set(.handshake, for: self)
            try relay.open(accepted)
        } catch {
            record.outcome = .clientLeft
            end(.clientLeft)
            if openHandles == 0 { didCloseEverything() }
        }
    }

    // MARK: - Request

    func didLogIn(_ username: [UInt8], _ terms: UserTerms?) {
        record.username = username
        record.terms = terms
    }

    func open(_ request: Request) {
        record.command = request.command
        record.destination = request.destination
        if relay?.clientToTarget.sourceHasEnded != true { places.endHandshake(of: record.client, worker) }
        guard let intent = Intent(request) else { return refuse(.hostUnreachable) }
        let subject = Subject(record, request.command)
        let policy = worker.policy.access
        if let denial = policy.denial(of: intent, to: subject) { return deny(denial) }
        if let limit = places.enter(as: record.username, record.terms, worker) {
            worker.counters.countRefusal(limit)
            return deny(.limit(limit))
        }
        switch policy.answer(to: intent, by: subject) {
        case .now(let verdict):
            carryOut(intent, verdict)
        case .later(let answer):
            let decision = PendingDecision(worker, answer) { [unowned self] in carryOut(intent, $0) }
            wait(for: decision, .dial)
        }
    }

    private func carryOut(_ intent: Intent, _ verdict: RuleVerdict) {
        switch verdict {
        case .allowed: break
        case .denied: return deny(.ruleSet)
        case .unavailable: return refuse(.generalFailure)
        }
        switch intent {
        case .connect(let target): dial(target)
        case .bind(let target): bind(from: target)
        case .associate: associate()
        }
    }

    private func dial(_ target: Target) {
        let dialer = Dialer(self, worker)
        wait(for: dialer, .dial)
        dialer.start(target)
    }

    private func wait(for source: any TargetSource, _ deadline: Deadline) {
        stage = .opening(source)
        worker.set(deadline, for: self)
        worker.await(.turn, for: self)
    }

    /// ``turnCame()`` will be called, within a second or at the turn that is awaited anyway.
    func awaitLook() {
        if turnSlot == nil { worker.await(.look, for: self) }
    }

    /// - Returns: whether there will be more turns.
    func turnCame() -> Bool {
        let isToLookAgain = relay?.look() ?? false
        if case .opening(let source) = stage {
            worker.await(.turn, for: self)
            source.turnCame()
            return true
        }
        if isToLookAgain { worker.await(.look, for: self) }
        return isToLookAgain
    }

    func dialerDidConnect(_ target: TCPStream) {
        target.delegate = relay
        do throws(UVError) {
            begin(with: target, boundAddress: try target.localAddress())
        } catch {
            target.close()
            end(.aborted(by: .target, error))
        }
    }

    /// Says success with an address, then leaves client and target to the relay.
    private func begin(with target: TCPStream, boundAddress: SocketAddress) {
        stage = .relaying
        record.hasRelayed = true
        places.endHandshake(of: record.client, worker)
        relay?.begin(with: target, success(boundAddress)) { places.meter(of: $0, worker) }
    }

    private func success(_ boundAddress: SocketAddress) -> [UInt8] {
        worker.counters.countReply(.succeeded)
        return Response(reply: .succeeded, boundAddress: Destination(boundAddress)).encoded
    }

    // MARK: - BIND

    private func bind(from target: Target?) {
        guard worker.context.bind.isEnabled else { return refuse(.commandNotSupported) }
        guard let client = relay?.client else { return }
        let binder = Binder(self, worker)
        wait(for: binder, .bind)
        do throws(UVError) {
            binder.start(from: target, clientSide: try client.localAddress())
        } catch {
            refuse(Reply(error))
        }
    }

    func binderDidListen(at address: SocketAddress) {
        relay?.targetToClient.send(success(address))
    }

    func binderDidAccept(_ accepted: consuming AcceptedDescriptor, from peer: SocketAddress) {
        do throws(UVError) {
            guard let target = try relay?.accept(accepted) else { return }
            begin(with: target, boundAddress: peer)
        } catch {
            refuse(Reply(error))
        }
    }

    // MARK: - UDP ASSOCIATE

    private func associate() {
        guard worker.context.udp.isEnabled else { return refuse(.commandNotSupported) }
        guard let relay, let address = record.client.address else { return refuse(.commandNotSupported) }
        let association = UDPAssociation(self, worker, at: address, places)
        do throws(UVError) {
            let response = association.open(at: try relay.client.localAddress())
            guard response.reply == .succeeded else { return refuse(response.reply) }
            self.association = association
            handleDidOpen()
            stage = .associated
            worker.set(.udpIdle, for: self)
            worker.counters.countReply(.succeeded)
            relay.targetToClient.send(response.encoded)
            if case .associated = stage { relay.discard() }
        } catch {
            refuse(Reply(error))
        }
    }

    // MARK: - Refusal

    /// The request can't be carried out.
    func refuse(_ reply: Reply) {
        refuse(reply, .refused(reply))
    }

    /// The request may not be carried out.
    func deny(_ denial: Denial) {
        refuse(.notAllowed, .denied(denial))
    }

    private func refuse(_ reply: Reply, _ outcome: SessionOutcome) {
        worker.counters.countReply(reply)
        refuse(sending: Response.failure(reply).encoded, outcome)
    }

    /// The message is the last one.
    func refuse(sending message: [UInt8], _ outcome: SessionOutcome) {
        record.outcome = outcome
        stage = .refusing
        places.endHandshake(of: record.client, worker)
        worker.set(.refusal, for: self)
        relay?.refuse(sending: message)
    }

    // MARK: - Relay

    /// Before there is a target.
    func clientDidSend() {
        if case .negotiating(let negotiation) = stage { negotiation.bytesDidCome() }
    }

    /// Before there is a target, maybe behind bytes that aren't read yet. While one is awaited, an end behind early
    /// payload is a half-close; without any the client has left. Nobody may be left to read the answer, so that such a
    /// session counts as a handshake until there is one.
    func clientHasEnded() {
        switch stage {
        case .negotiating(let negotiation):
            negotiation.clientDidEnd()
        case .opening:
            // Only a CONNECT has an answer that a client waits for behind its end.
            guard record.command == .connect, relay?.clientToTarget.isEmpty == false else {
                return end(.clientLeft)
            }
            places.beginHandshake(of: record.client, worker)
        case .relaying, .associated, .refusing, .closing:
            break
        }
    }

    func relayDidEnd(_ how: Relay.End) {
        switch (stage, how) {
        case (.relaying, .completed), (.associated, .completed): end(.completed)
        case (.relaying, .aborted(let side, let error)): end(.aborted(by: side, error))
        case (_, .flooded): end(.clientLeft, byReset: true)
        case (_, _): end(.clientLeft)
        }
    }

    /// - Parameter interval: milliseconds since the last look.
    func lookForVanishedPeers(_ interval: UInt64) {
        relay?.lookForVanishedPeers(interval)
    }

    // MARK: - The end

    func deadlineDidPass(_ deadline: Deadline) {
        switch (stage, deadline) {
        case (.negotiating(let negotiation), _):
            negotiation.deadlineDidPass(deadline)
        case (.opening(let source), _):
            worker.counters.timedOut.add()
            refuse(source.timeOut())
        case (.refusing, _):
            end(record.outcome ?? .timedOut(deadline))
        case (.relaying, _), (.associated, _), (.closing, _):
            worker.counters.timedOut.add()
            end(.timedOut(deadline))
        }
    }

    func quotaDidEnd(of account: Account) {
        guard places.account === account, places.isQuotaUsedUp(worker), record.outcome == nil else { return }
        if case .opening(let source) = stage {
            source.cancel()
            worker.counters.countRefusal(.quotaPerUser)
            return deny(.limit(.quotaPerUser))
        }
        worker.counters.endedByQuota.add()
        end(.quotaUsedUp)
    }

    /// Ends the session whatever it is doing; the first outcome counts.
    ///
    /// - Parameter byReset: whether the peers see a reset, whatever the outcome.
    func end(_ outcome: SessionOutcome, byReset: Bool = false) {
        if case .closing = stage { return }
        if case .opening(let source) = stage { source.cancel() }
        if case .negotiating(let negotiation) = stage { negotiation.cancel() }
        stage = .closing
        association?.close()
        record.outcome = record.outcome ?? outcome
        worker.clearDeadline(of: self)
        relay?.close(byReset: byReset || outcome.isAbort)
    }

    /// A stream, a listener or an association of this session is open from now on.
    func handleDidOpen() {
        openHandles += 1
    }

    func handleDidClose() {
        openHandles -= 1
        guard openHandles == 0, case .closing = stage else { return }
        didCloseEverything()
    }

    private func didCloseEverything() {
        places.leave(record.client, worker)
        relay?.giveMemoryBack()
        if let association {
            record.note(sent: association.bytesClientToTarget, received: association.bytesTargetToClient)
        } else if record.hasRelayed, let relay {
            record.note(sent: relay.clientToTarget.bytesWritten, received: relay.targetToClient.bytesWritten)
        }
        worker.sessionDidEnd(self)
    }
}
