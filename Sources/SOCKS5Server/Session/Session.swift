internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// One client, from accept to the end.
///
/// The session is the delegate of the client's stream until a target is connected and a ``Relay`` takes over,
/// and again of both while they close. Bytes of the handshake are read into the pipe that will carry the
/// payload, and replies go through the opposite one, so that order comes for free.
///
/// - Isolation: the worker's thread.
/// - Ownership: the worker's table holds the session until no stream of it is open.
final class Session {
    private enum Stage {
        case negotiating(Negotiation)
        case opening(any TargetSource)
        case relaying(Relay)
        /// Datagrams are relayed; the client's stream only tells when that is over.
        case associated
        /// A failure reply was sent; the client is to read it and leave. So many bytes have come since.
        case refusing(drained: Int)
        /// Ending, or not started.
        case closing
    }

    private unowned let worker: Worker
    /// The place in the worker's table, from ``start(_:in:)`` on.
    private(set) var slot: DeadlineQueue<Session>.Slot?
    /// The place among those that wait for a target; the worker's to set.
    var turnSlot: DeadlineQueue<Session>.Slot?
    private var stage = Stage.closing
    private var client: TCPStream?
    private var target: TCPStream?
    private var clientToTarget: Pipe?
    private var targetToClient: Pipe?
    private var association: UDPAssociation?
    private var openHandles = 0
    private var finishedPipes = 0
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
            let client = try TCPStream(on: worker.loop, delegate: self)
            handleDidOpen()
            self.client = client
            let clientToTarget = Pipe(self, worker.pool, from: client, to: nil)
            let targetToClient = Pipe(self, worker.pool, from: nil, to: client)
            self.clientToTarget = clientToTarget
            self.targetToClient = targetToClient
            stage = .negotiating(
                Negotiation(self, worker, clientToTarget: clientToTarget, targetToClient: targetToClient)
            )
            try client.adopt(accepted)
            worker.set(.handshake, for: self)
            try client.startReading()
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
        if clientToTarget?.sourceHasEnded != true { places.endHandshake(of: record.client, worker) }
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
            carryOut(intent, request, verdict)
        case .later(let answer):
            let decision = PendingDecision(worker, answer) { [unowned self] in carryOut(intent, request, $0) }
            wait(for: decision, .dial)
        }
    }

    private func carryOut(_ intent: Intent, _ request: Request, _ verdict: RuleVerdict) {
        switch verdict {
        case .allowed: break
        case .denied: return deny(.ruleSet)
        case .unavailable: return refuse(.generalFailure)
        }
        switch intent {
        case .connect(let target): dial(target)
        case .bind(let target): bind(from: target)
        case .associate: associate(expecting: request.destination)
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

    /// A stream isn't read from now on, so that its end must be looked for. Costs nothing where a turn is awaited.
    func sourceFellSilent() {
        if turnSlot == nil { worker.await(.look, for: self) }
    }

    /// - Returns: whether there will be more turns.
    func turnCame() -> Bool {
        switch stage {
        case .negotiating:
            guard isClientPresent() else { return false }
            if clientToTarget?.isReading == false { worker.await(.look, for: self) }
            return clientToTarget?.isReading == false
        case .opening(let source):
            guard isClientPresent() else { return false }
            worker.await(.turn, for: self)
            source.turnCame()
            return true
        case .relaying(let relay):
            let isToLookAgain = relay.look()
            if isToLookAgain { worker.await(.look, for: self) }
            return isToLookAgain
        case .associated, .refusing, .closing:
            return false
        }
    }

    /// Ends the session where a peer has vanished, and bytes that were sent to it are never acknowledged.
    ///
    /// - Parameter interval: milliseconds since the last look.
    func lookForVanishedPeers(_ interval: UInt64) {
        if case .closing = stage { return }
        if clientToTarget?.sinkHasVanished(interval) == true {
            didFail(.target, .timedOut)
        } else if targetToClient?.sinkHasVanished(interval) == true {
            didFail(.client, .timedOut)
        }
    }

    /// Looks after a client that isn't read, and ends the session if it has gone.
    private func isClientPresent() -> Bool {
        guard let client, clientToTarget?.isReading == false else { return true }
        switch client.peerState {
        case .present:
            return true
        case .ended where mayHalfClose:
            if case .opening = stage { places.beginHandshake(of: record.client, worker) }
            return true
        case .ended, .gone:
            end(.clientLeft)
            return false
        }
    }

    /// Only a CONNECT has an answer that a client waits for behind its end. Others may come while there is no request.
    private var mayHalfClose: Bool { record.command == nil || record.command == .connect }

    func dialerDidConnect(_ target: TCPStream) {
        self.target = target
        do throws(UVError) {
            relay(target, boundAddress: try target.localAddress())
        } catch {
            end(.aborted(by: .target, error))
        }
    }

    /// Says success with an address, then hands client and target over to a relay.
    private func relay(_ target: TCPStream, boundAddress: SocketAddress) {
        guard let client, let clientToTarget, let targetToClient else { return }
        let relay = Relay(
            self,
            client: client,
            target: target,
            clientToTarget: clientToTarget,
            targetToClient: targetToClient
        )
        clientToTarget.meter = places.meter(of: .clientToTarget, worker)
        targetToClient.meter = places.meter(of: .targetToClient, worker)
        stage = .relaying(relay)
        record.hasRelayed = true
        places.endHandshake(of: record.client, worker)
        worker.set(.idle, for: self)
        succeed(boundAddress)
        guard case .relaying = stage else { return }
        do throws(UVError) {
            try relay.start()
        } catch {
            end(.aborted(by: .target, error))
        }
    }

    private func succeed(_ boundAddress: SocketAddress) {
        worker.counters.countReply(.succeeded)
        targetToClient?.send(Response(reply: .succeeded, boundAddress: Destination(boundAddress)).encoded)
    }

    // MARK: - BIND

    private func bind(from target: Target?) {
        guard worker.context.bind.isEnabled else { return refuse(.commandNotSupported) }
        guard let client else { return }
        let binder = Binder(self, worker)
        wait(for: binder, .bind)
        do throws(UVError) {
            binder.start(from: target, clientSide: try client.localAddress())
        } catch {
            refuse(Reply(error))
        }
    }

    func binderDidListen(at address: SocketAddress) {
        succeed(address)
    }

    func binderDidAccept(_ accepted: consuming AcceptedDescriptor, from peer: SocketAddress) {
        do throws(UVError) {
            let target = try TCPStream(on: worker.loop, delegate: self)
            handleDidOpen()
            self.target = target
            try target.adopt(accepted)
            relay(target, boundAddress: peer)
        } catch {
            refuse(Reply(error))
        }
    }

    // MARK: - UDP ASSOCIATE

    /// - Parameter expected: where the client means to send from.
    private func associate(expecting expected: Destination) {
        guard worker.context.udp.isEnabled else { return refuse(.commandNotSupported) }
        guard let client, let address = record.client.address else { return refuse(.commandNotSupported) }
        let association = UDPAssociation(self, worker, at: address, expecting: expected, places)
        do throws(UVError) {
            let response = association.open(at: try client.localAddress())
            guard response.reply == .succeeded else { return refuse(response.reply) }
            self.association = association
            handleDidOpen()
            stage = .associated
            worker.set(.udpIdle, for: self)
            worker.counters.countReply(.succeeded)
            targetToClient?.send(response.encoded)
            if case .associated = stage { clientToTarget?.discard() }
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

    /// Sends the last message, ends our direction, and drains the client's: closing with bytes unread would
    /// reset the connection, and the reset would overtake the message.
    func refuse(sending message: [UInt8], _ outcome: SessionOutcome) {
        record.outcome = outcome
        stage = .refusing(drained: 0)
        places.endHandshake(of: record.client, worker)
        worker.set(.refusal, for: self)
        targetToClient?.send(message)
        guard case .refusing = stage else { return }
        targetToClient?.sourceDidEnd()
        guard case .refusing = stage else { return }
        clientToTarget?.discard()
    }

    /// Bytes of one that sends on are drained to a bound; beyond it the connection is reset.
    private func drain(_ bytes: Int) {
        stage = .refusing(drained: bytes)
        if bytes > Self.mostDrained { return end(.clientLeft, byReset: true) }
        clientToTarget?.discard()
    }

    private static let mostDrained = 1 << 20

    /// A refusal is over when the client has all of it and has left.
    private func endIfRefusalIsOver() {
        if finishedPipes > 0 && clientToTarget?.sourceHasEnded == true { end(.clientLeft) }
    }

    // MARK: - Pipes

    /// Whether the end of one more pipe closes both streams, which says the end as well as a shutdown: nothing is
    /// left unread that would turn it into a reset.
    var closesWithNextPipe: Bool { finishedPipes == 1 }

    func pipeDidFinish(_ pipe: Pipe) {
        finishedPipes += 1
        switch stage {
        case .relaying:
            if finishedPipes == 2 { end(.completed) } else { worker.set(.halfClosed, for: self) }
        case .refusing:
            endIfRefusalIsOver()
        case .negotiating, .opening, .associated, .closing:
            break
        }
    }

    func pipe(_ pipe: Pipe, didFailAtSink error: UVError) {
        didFail(pipe === clientToTarget ? .target : .client, error)
    }

    func pipe(_ pipe: Pipe, didFailAtSource error: UVError) {
        didFail(pipe === clientToTarget ? .client : .target, error)
    }

    private func didFail(_ side: SessionOutcome.Side, _ error: UVError) {
        if case .relaying = stage { end(.aborted(by: side, error)) } else { end(.clientLeft) }
    }

    /// Bytes have moved: the session isn't idle.
    func noteActivity() {
        guard case .relaying = stage else { return }
        worker.set(finishedPipes == 0 ? .idle : .halfClosed, for: self)
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
        for stream in [client, target] {
            guard let stream else { continue }
            stream.delegate = self
            if byReset || outcome.isAbort { stream.reset() } else { stream.close() }
        }
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
        clientToTarget?.close()
        targetToClient?.close()
        if let association {
            record.note(sent: association.bytesClientToTarget, received: association.bytesTargetToClient)
        } else if record.hasRelayed {
            record.note(sent: clientToTarget?.bytesWritten ?? 0, received: targetToClient?.bytesWritten ?? 0)
        }
        worker.sessionDidEnd(self)
    }
}

// MARK: - TCPStreamDelegate

/// For the client until it is relayed, and for every stream that closes.
extension Session: TCPStreamDelegate {
    func stream(_ stream: TCPStream, didConnect error: UVError?) {
        preconditionFailure("only the dialer connects")
    }

    func bufferForReading(_ stream: TCPStream) -> UnsafeMutableRawBufferPointer {
        clientToTarget?.bufferForReading() ?? UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    func stream(_ stream: TCPStream, didRead count: Int) {
        clientToTarget?.didRead(count)
        switch stage {
        case .negotiating(let negotiation): negotiation.bytesDidCome()
        case .associated: clientToTarget?.discard()
        case .refusing(let drained): drain(drained + count)
        case .opening, .relaying, .closing: break
        }
    }

    /// While a target is awaited, an end behind early payload is a half-close; without any the client has left. Nobody
    /// may be left to read the answer, so that such a session counts as a handshake until there is one.
    func streamDidEnd(_ stream: TCPStream) {
        switch stage {
        case .negotiating(let negotiation):
            negotiation.clientDidEnd()
        case .opening:
            guard let clientToTarget, mayHalfClose, !clientToTarget.isEmpty else { return end(.clientLeft) }
            places.beginHandshake(of: record.client, worker)
            clientToTarget.sourceDidEnd()
        case .associated:
            end(.completed)
        case .refusing:
            clientToTarget?.sourceDidEnd()
            endIfRefusalIsOver()
        case .relaying, .closing:
            break
        }
    }

    func stream(_ stream: TCPStream, didFail error: UVError) {
        end(.clientLeft)
    }

    func streamDidWrite(_ stream: TCPStream) {
        targetToClient?.didWrite()
    }

    func streamDidClose(_ stream: TCPStream) {
        handleDidClose()
    }
}
