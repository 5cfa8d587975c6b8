import SOCKS5Protocol
import Testing

/// Passes bytes to a server's handshake as they arrive, keeps the ones that aren't consumed, and answers for credential
/// store and context.
struct ServerFeeder {
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

    mutating func feed(_ bytes: some Sequence<UInt8>) {
        held += bytes
        while !isOver {
            let bytes = held
            let (consumed, action) = handshake.receive(bytes.span.bytes)
            held.removeFirst(consumed)
            if action == .receiveMore {
                #expect(consumed == 0)
                return
            }
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
    }

    private mutating func note(_ action: ServerHandshake.Action) {
        actions.append(action)
        switch action {
        case .refuse, .refuseLogin, .open, .reject, .abort, .refuseContext, .clientAborted: isOver = true
        case .receiveMore, .select, .authenticate, .acknowledge, .establish, .agree, .send, .protect: break
        }
    }
}
