internal import ProxyPolicy
internal import SOCKS5Protocol

/// Greeting, login and request of a client: performs what ``Handshake`` says, until there is a request to carry
/// out or a refusal.
///
/// - Isolation: the worker's thread.
/// - Ownership: the session's first stage.
final class Negotiation {
    private enum Stage {
        case talking
        /// The answer to a login takes longer.
        case authenticating(PendingAnswers<LoginVerdict>.Ticket)
        /// A login has failed like too many before, and is answered later.
        case refusingLate
        /// The session goes on, or has ended.
        case over
    }

    private unowned let session: Session
    private unowned let worker: Worker
    private unowned let relay: Relay
    private let policy: Policy
    private var handshake: Handshake
    private var stage = Stage.talking

    init(_ session: Session, _ worker: Worker, _ relay: Relay) {
        self.session = session
        self.worker = worker
        self.relay = relay
        policy = worker.policy
        handshake = Handshake(requiring: policy.method)
    }

    private var clientToTarget: Pipe { relay.clientToTarget }
    private var targetToClient: Pipe { relay.targetToClient }

    /// Bytes wait in the ring while a login is looked at, and in the socket while it is refused late.
    func bytesDidCome() {
        switch stage {
        case .talking: advance()
        case .authenticating, .refusingLate, .over: break
        }
    }

    /// While a login is looked at, an end behind bytes may be the half-close behind a request's payload; without
    /// any the client has left.
    func clientDidEnd() {
        switch stage {
        case .talking:
            session.end(.clientLeft)
        case .authenticating:
            if clientToTarget.isEmpty { session.end(.clientLeft) }
        case .refusingLate, .over:
            break
        }
    }

    func deadlineDidPass(_ deadline: Deadline) {
        switch stage {
        case .talking, .over:
            worker.counters.timedOut.add()
            session.end(.timedOut(deadline))
        case .authenticating(let ticket):
            worker.logins.giveUp(ticket)
            worker.counters.timedOut.add()
            refuseLogin(.timedOut(deadline))
        case .refusingLate:
            refuseLogin(.loginRefused)
            clientToTarget.release()
        }
    }

    /// The session has ended.
    func cancel() {
        if case .authenticating(let ticket) = stage { worker.logins.giveUp(ticket) }
        stage = .over
    }

    private func advance() {
        while case .talking = stage {
            let (consumed, action) = clientToTarget.withHeldBytes { handshake.receive($0) }
            if case .authenticate = action { clientToTarget.eraseHeldBytes(consumed) }
            clientToTarget.consume(consumed)
            if case .receiveMore = action { return }
            perform(action)
        }
    }

    private func perform(_ action: Handshake.Action) {
        switch action {
        case .receiveMore: break
        case .select(let selection): targetToClient.send(selection.encoded)
        case .refuse(let selection): refuse(sending: selection.encoded, .noAcceptableMethod)
        case .authenticate(let credentials): authenticate(credentials)
        case .acknowledge(let status): targetToClient.send(status.encoded)
        case .refuseLogin: loginDidFail()
        case .open(let request): open(request)
        case .reject(let reply):
            stage = .over
            session.refuse(reply)
        case .abort: session.end(.notSOCKS5)
        }
    }

    private func open(_ request: Request) {
        stage = .over
        let hasLeft =
            clientToTarget.sourceHasEnded && (clientToTarget.isEmpty || request.command != .connect)
        if hasLeft { session.end(.clientLeft) } else { session.open(request) }
    }

    private func refuse(sending message: [UInt8], _ outcome: SessionOutcome) {
        stage = .over
        session.refuse(sending: message, outcome)
    }

    // MARK: - Login

    private func authenticate(_ credentials: Credentials) {
        let login = Login(credentials: credentials, client: session.record.client)
        guard let store = policy.credentials else { preconditionFailure("a login that nobody asked for") }
        let username = login.username
        switch store.verify(login) {
        case .now(let verdict):
            conclude(verdict, username)
        case .later(let answer):
            let ticket = worker.logins.begin(answer) { [self] in loginDidEnd($0, username) }
            stage = .authenticating(ticket)
        }
    }

    /// The answer that took longer.
    private func loginDidEnd(_ verdict: LoginVerdict, _ username: [UInt8]) {
        stage = .talking
        conclude(verdict, username)
        advance()
        if case .talking = stage, clientToTarget.sourceHasEnded { session.end(.clientLeft) }
    }

    private func conclude(_ verdict: LoginVerdict, _ username: [UInt8]) {
        switch verdict {
        case .accepted:
            accept(username, nil)
        case .granted(let terms):
            accept(username, terms)
        case .refused:
            perform(handshake.authenticated(false))
        case .unavailable:
            worker.counters.uncheckedLogins.add()
            refuseLogin(.loginUnchecked)
        }
    }

    private func accept(_ username: [UInt8], _ terms: UserTerms?) {
        session.didLogIn(username, terms)
        perform(handshake.authenticated(true))
    }

    private func loginDidFail() {
        guard worker.noteFailedLogin(from: session.record.client) else { return refuseLogin(.loginRefused) }
        stage = .refusingLate
        worker.set(.lateRefusal, for: session)
        clientToTarget.discard()
        clientToTarget.holdBack()
    }

    private func refuseLogin(_ outcome: SessionOutcome) {
        refuse(sending: AuthenticationStatus(succeeded: false).encoded, outcome)
    }
}
