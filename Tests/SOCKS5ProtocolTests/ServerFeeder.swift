import SOCKS5Protocol

/// Feeds a server's handshake, and answers for credential store and context.
struct ServerFeeder: HandshakeFeeder {
    var handshake: ServerHandshake
    private let accepts: Bool
    private var steps: [ServerHandshake.ContextStep]
    var held: [UInt8] = []
    var actions: [ServerHandshake.Action] = []
    var isOver = false

    /// - Parameters:
    ///   - accepts: whether a password is correct.
    ///   - steps: the context's answers, in order.
    init(
        _ method: AuthenticationMethod,
        or alternative: AuthenticationMethod? = nil,
        accepts: Bool = true,
        _ steps: [ServerHandshake.ContextStep] = []
    ) {
        handshake = ServerHandshake(requiring: method, or: alternative)
        self.accepts = accepts
        self.steps = steps
    }

    static var receiveMore: ServerHandshake.Action { .receiveMore }

    mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: ServerHandshake.Action) {
        handshake.receive(bytes)
    }

    mutating func perform(_ action: ServerHandshake.Action) {
        note(action)
        switch action {
        case .authenticate: note(handshake.authenticated(accepts))
        case .establish, .agree:
            let step = steps.removeFirst()
            note(handshake.advanced(step))
        case .receiveMore, .select, .acknowledge, .send, .protect, .refuse, .refuseLogin, .open, .reject,
            .abort, .refuseContext, .clientAborted:
            break
        }
    }

    private mutating func note(_ action: ServerHandshake.Action) {
        actions.append(action)
        switch action {
        case .refuse, .refuseLogin, .open, .reject, .abort, .refuseContext, .clientAborted: isOver = true
        case .receiveMore, .select, .authenticate, .acknowledge, .establish, .agree, .send, .protect: break
        }
    }
}
