internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Decides the next step of a session, from the accept to the end. Pure: events in, one action out; ``Session``
/// performs it.
///
/// It guarantees, for any order of events: at most one last answer to the client, exactly one end, and the cancellation
/// of pending work when a stage is left early. Not used on the path of payload.
struct SessionMachine {
    private enum Stage {
        /// Reads the PROXY header of a load balancer: there is no client yet.
        case awaitingHeader
        /// Reads the client's messages.
        case negotiating
        /// Waits for the credential store.
        case verifying
        /// The credential store has answered; the client hasn't been told yet.
        case concluding
        /// A login has failed after too many failures, and is answered late.
        case delayingRefusal([UInt8])
        /// Rules and limits are being checked.
        case judging(SOCKSCommand)
        /// Waits for a rule set.
        case deciding(Intent)
        /// A connector is working. For a BIND also after its first reply.
        case connecting(SOCKSCommand)
        case relaying
        /// Datagrams are relayed.
        case associated
        /// The last answer is being sent.
        case answering(SessionOutcome)
        case ended
    }

    private var stage: Stage

    init(awaitsHeader: Bool = false) {
        stage = awaitsHeader ? .awaitingHeader : .negotiating
    }

    /// For a session that another worker has handed over, at its UDP ASSOCIATE request.
    init(handedOver command: SOCKSCommand) {
        stage = .connecting(command)
    }

    var awaitsHeader: Bool { if case .awaitingHeader = stage { true } else { false } }
    /// Whether the client's next message must be processed.
    var isNegotiating: Bool { if case .negotiating = stage { true } else { false } }
    /// Whether it waits for a connector or an answer, which may take several turns.
    var isOpening: Bool {
        switch stage {
        case .deciding, .connecting: true
        case .awaitingHeader, .negotiating, .verifying, .concluding, .delayingRefusal, .judging, .relaying,
            .associated,
            .answering, .ended:
            false
        }
    }

    /// Whether an expired deadline is a failure. In the other stages it triggers the planned step.
    var missesDeadlines: Bool {
        switch stage {
        case .negotiating, .verifying, .deciding, .connecting, .relaying, .associated: true
        case .awaitingHeader, .concluding, .delayingRefusal, .judging, .answering, .ended: false
        }
    }

    var hasEnded: Bool { if case .ended = stage { true } else { false } }

    mutating func on(_ event: Event) -> Action {
        switch event {
        case .headerRead(let isAdmitted): headerRead(isAdmitted)
        case .headerFailed(let reason): refuseHeader(reason)
        case .message(let action): message(action)
        case .contextAnswered(let step): contextAnswered(step)
        case .loginAnswered(let verdict): loginAnswered(verdict)
        case .loginFailureNoted(let message, let isLate): loginFailureNoted(message, isLate)
        case .denied(let denial): refuse(.notAllowed, .denied(denial))
        case .allowed(let intent): allowed(intent)
        case .undecided(let intent): undecided(intent)
        case .ruleSetAnswered(let verdict): ruleSetAnswered(verdict)
        case .listening(let address): listening(address)
        case .opened: opened()
        case .resolved(let address): resolved(address)
        case .handedOver: handedOver()
        case .failed(let reply): refuse(reply, .refused(reply))
        case .clientEnded(let isHalfClose): clientEnded(isHalfClose)
        case .relayEnded(let end): relayEnded(end)
        case .deadlinePassed(let deadline): deadlinePassed(deadline)
        case .quotaUsedUp: quotaUsedUp()
        case .displaced: displaced()
        case .endedByAdmin: end(.endedByAdmin)
        case .revoked: end(.revoked)
        case .stopped: end(.stopped)
        }
    }

    // MARK: - Header

    private mutating func headerRead(_ isAdmitted: Bool) -> Action {
        guard case .awaitingHeader = stage else { preconditionFailure("a header that nobody awaits") }
        stage = isAdmitted ? .negotiating : .ended
        return isAdmitted ? .none : .leave
    }

    private mutating func refuseHeader(_ reason: ConnectionRefusal) -> Action {
        guard case .awaitingHeader = stage else { preconditionFailure("a header that nobody awaits") }
        stage = .ended
        return .refuseHeader(reason)
    }

    // MARK: - Handshake

    private mutating func message(_ action: Front.Action) -> Action {
        switch stage {
        case .negotiating, .concluding: break
        case .awaitingHeader, .verifying, .delayingRefusal, .judging, .deciding, .connecting, .relaying,
            .associated,
            .answering, .ended:
            preconditionFailure("a message that nobody has asked for")
        }
        stage = .negotiating
        switch action {
        case .receiveMore: return .none
        case .answer(let bytes): return .answer(bytes)
        case .verify(let credentials):
            stage = .verifying
            return .verify(credentials)
        case .establish(let token):
            stage = .verifying
            return .establish(token)
        case .agree(let token):
            stage = .verifying
            return .agree(token)
        case .protect(let bytes): return .protect(bytes)
        case .leave: return end(.clientLeft)
        case .open(let request):
            stage = .judging(request.command)
            return .judge(request)
        case .refuse(let bytes, let outcome):
            return refuse(.message(bytes), outcome)
        case .refuseLogin(let bytes):
            stage = .concluding
            return .noteLoginFailure(bytes)
        case .reject(let reply):
            return refuse(.reply(reply), .refused(reply))
        case .abort:
            return end(.notSOCKS5)
        }
    }

    private mutating func loginAnswered(_ verdict: LoginVerdict) -> Action {
        guard case .verifying = stage else { preconditionFailure("a verdict on no login") }
        switch verdict {
        case .accepted, .granted:
            stage = .concluding
            return .conclude(isRight: true)
        case .refused:
            stage = .concluding
            return .conclude(isRight: false)
        case .unavailable:
            return refuse(.loginRefusal, .loginUnchecked)
        }
    }

    private mutating func contextAnswered(_ step: ServerHandshake.ContextStep?) -> Action {
        guard case .verifying = stage else { preconditionFailure("a step of no login") }
        guard let step else { return refuse(.loginRefusal, .loginUnchecked) }
        stage = .concluding
        return .advance(step)
    }

    private mutating func loginFailureNoted(_ message: [UInt8], _ isLate: Bool) -> Action {
        guard case .concluding = stage else { preconditionFailure("a failure of no login") }
        guard isLate else { return refuse(.message(message), .loginRefused) }
        stage = .delayingRefusal(message)
        return .delayRefusal
    }

    // MARK: - Request

    private mutating func allowed(_ intent: Intent) -> Action {
        guard case .judging = stage else { preconditionFailure("a request allowed that nobody has judged") }
        stage = .connecting(intent.command)
        return .open(intent)
    }

    private mutating func undecided(_ intent: Intent) -> Action {
        guard case .judging = stage else { preconditionFailure("a decision on no request") }
        stage = .deciding(intent)
        return .awaitRuleSet
    }

    private mutating func ruleSetAnswered(_ verdict: RuleVerdict) -> Action {
        guard case .deciding(let intent) = stage else { preconditionFailure("an answer to no question") }
        switch verdict {
        case .allowed:
            stage = .connecting(intent.command)
            return .open(intent)
        case .denied:
            return refuse(.notAllowed, .denied(.ruleSet))
        case .unavailable:
            return refuse(.generalFailure, .refused(.generalFailure))
        }
    }

    private mutating func listening(_ address: Destination) -> Action {
        guard case .connecting(.bind) = stage else { preconditionFailure("a listener of no BIND") }
        return .announce(address)
    }

    private mutating func opened() -> Action {
        switch stage {
        case .connecting(.connect), .connecting(.bind):
            stage = .relaying
            return .relay
        case .connecting(.udpAssociate):
            stage = .associated
            return .associate
        case .awaitingHeader, .negotiating, .verifying, .concluding, .delayingRefusal, .judging, .deciding,
            .connecting(.resolve), .relaying, .associated, .answering, .ended:
            preconditionFailure("a target that nobody awaits")
        }
    }

    private mutating func resolved(_ address: SocketAddress) -> Action {
        guard case .connecting(.resolve) = stage else { preconditionFailure("an address for nobody") }
        stage = .answering(.completed)
        return .tell(address)
    }

    private mutating func handedOver() -> Action {
        guard case .connecting(.udpAssociate) = stage else { preconditionFailure("handed over out of turn") }
        stage = .ended
        return .leave
    }

    private mutating func refuse(_ reply: Reply, _ outcome: SessionOutcome) -> Action {
        switch stage {
        case .judging, .deciding, .connecting: return refuse(.reply(reply), outcome)
        case .awaitingHeader, .negotiating, .verifying, .concluding, .delayingRefusal, .relaying, .associated,
            .answering,
            .ended:
            preconditionFailure("a reply to no request")
        }
    }

    private mutating func refuse(_ answer: LastAnswer, _ outcome: SessionOutcome) -> Action {
        stage = .answering(outcome)
        return .refuse(answer, outcome)
    }

    // MARK: - The end

    /// An end after payload may be the half-close of a CONNECT, whose answer is still wanted. Without payload the
    /// client has left; for a BIND or an association an end always means that.
    private mutating func clientEnded(_ isHalfClose: Bool) -> Action {
        switch stage {
        case .awaitingHeader:
            refuseHeader(isHalfClose ? .headerCut : .headerMissing)
        case .negotiating:
            end(.clientLeft)
        case .verifying, .judging(.connect), .deciding(.connect), .connecting(.connect):
            isHalfClose ? .none : end(.clientLeft)
        case .judging, .deciding, .connecting:
            end(.clientLeft)
        case .associated:
            end(.completed)
        case .concluding, .delayingRefusal, .relaying, .answering, .ended:
            .none
        }
    }

    private mutating func relayEnded(_ relayEnd: Relay.End) -> Action {
        switch stage {
        case .relaying, .associated:
            switch relayEnd {
            case .completed: end(.completed)
            case .aborted(let side, let error): end(.aborted(by: side, error))
            case .undecodable(let side, let failure):
                end(.undecodable(by: side, failure.layer), byReset: true)
            case .flooded: preconditionFailure("a flood behind no refusal")
            }
        case .awaitingHeader:
            refuseHeader(.headerCut)
        case .negotiating, .verifying, .concluding, .delayingRefusal, .judging, .deciding, .connecting:
            end(SessionOutcome(before: relayEnd))
        case .answering(let outcome):
            end(outcome, byReset: relayEnd == .flooded)
        case .ended:
            .none
        }
    }

    private mutating func deadlinePassed(_ deadline: Deadline) -> Action {
        switch stage {
        case .awaitingHeader:
            refuseHeader(.headerLate)
        case .negotiating, .relaying, .associated:
            end(.timedOut(deadline))
        case .verifying:
            refuse(.loginRefusal, .timedOut(deadline))
        case .delayingRefusal(let message):
            refuse(.message(message), .loginRefused)
        case .deciding:
            refuse(.reply(.generalFailure), .refused(.generalFailure))
        case .connecting:
            .timeOutConnector
        case .answering(let outcome):
            end(outcome)
        case .concluding, .judging, .ended:
            preconditionFailure("a deadline in between")
        }
    }

    private mutating func quotaUsedUp() -> Action {
        switch stage {
        case .judging, .deciding, .connecting:
            refuse(.reply(.notAllowed), .denied(.limit(.quotaPerUser)))
        case .relaying, .associated:
            end(.quotaUsedUp)
        case .awaitingHeader, .negotiating, .verifying, .concluding, .delayingRefusal, .answering, .ended:
            .none
        }
    }

    private mutating func displaced() -> Action {
        switch stage {
        case .awaitingHeader, .negotiating, .verifying, .delayingRefusal:
            end(.displaced)
        case .concluding, .judging, .deciding, .connecting, .relaying, .associated, .answering, .ended:
            preconditionFailure("a session gives way that has no handshake to end")
        }
    }

    /// The outcome of a refusal doesn't change, however the client reacts to it.
    private mutating func end(_ outcome: SessionOutcome, byReset: Bool = false) -> Action {
        switch stage {
        case .ended:
            return .none
        case .answering(let earlier):
            stage = .ended
            return .end(earlier, byReset: byReset || outcome.isAbort)
        case .awaitingHeader, .negotiating, .verifying, .concluding, .delayingRefusal, .judging, .deciding,
            .connecting, .relaying, .associated:
            stage = .ended
            return .end(outcome, byReset: byReset || outcome.isAbort)
        }
    }
}
