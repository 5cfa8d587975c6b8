import SOCKS5Protocol

/// Properties of the GSSAPI handshake for any bytes of a client, cut into any pieces.
///
/// The first byte of the input selects the context's answers, the next 7 bytes where to cut; the rest is sent by the
/// client.
struct GSSAPIConversation: Equatable {
    private var actions: [ServerHandshake.Action] = []
    private var consumed = 0

    static func check(_ input: [UInt8]) throws(Violation) {
        guard input.count >= 8 else { return }
        let sent = input[8...]
        let whole = try GSSAPIConversation(settings: input[0], [sent])
        let pieces = try GSSAPIConversation(
            settings: input[0],
            Conversation.pieces(of: sent, sizes: input[1..<8])
        )
        try require(whole == pieces, "\(whole) at once, \(pieces) in pieces")
        let bytes = try GSSAPIConversation(settings: input[0], sent.map { [$0][...] })
        try require(whole == bytes, "\(whole) at once, \(bytes) byte by byte")
    }

    /// - Parameter settings: how many tokens the context needs, what it refuses, whether its last token is empty, and
    ///   whether a password is accepted too.
    private init(settings: UInt8, _ pieces: [ArraySlice<UInt8>]) throws(Violation) {
        var handshake = ServerHandshake(
            requiring: .gssapi,
            or: settings & 0x80 == 0 ? nil : .usernamePassword
        )
        var (held, tokens): ([UInt8], Int) = ([], 0)
        for piece in pieces {
            held += piece
            while true {
                let (consumed, action) = handshake.receive(held.span.bytes)
                try require((0...held.count).contains(consumed), "\(consumed) consumed of \(held.count)")
                held.removeFirst(consumed)
                self.consumed += consumed
                if action == .receiveMore {
                    try require(consumed == 0, "\(consumed) consumed of an incomplete message")
                    break
                }
                actions.append(action)
                try require(actions.count <= 40, "more actions than steps: \(actions)")
                switch action {
                case .establish(let token):
                    try require(consumed == token.count + 4 && !token.isEmpty, "\(consumed) for a token")
                    tokens += 1
                    actions.append(handshake.advanced(Self.step(settings, tokens)))
                case .agree(let token):
                    try require(consumed == token.count + 4 && !token.isEmpty, "\(consumed) for a level")
                    actions.append(handshake.advanced(settings & 0x20 == 0 ? .agreed([2]) : .refused))
                case .authenticate:
                    try require(settings & 0x80 != 0, "a login by a password")
                    actions.append(handshake.authenticated(true))
                case .select, .receiveMore: break
                case .open, .refuse, .refuseLogin, .reject, .abort, .refuseContext, .clientAborted: return
                case .acknowledge, .send, .protect:
                    throw Violation(description: "\(action) out of turn")
                }
                if case .refuseContext = actions.last { return }
            }
        }
    }

    private static func step(_ settings: UInt8, _ tokens: Int) -> ServerHandshake.ContextStep {
        if settings & 0x10 != 0 { return .refused }
        if tokens <= settings & 0x0f { return .unfinished([UInt8(tokens)]) }
        return .established(settings & 0x40 == 0 ? [0x60] : [])
    }
}
