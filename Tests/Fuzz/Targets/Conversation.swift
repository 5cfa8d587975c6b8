import SOCKS5Protocol

/// Properties of the handshake for any bytes of a client, cut into any pieces.
///
/// The first byte of the input selects which method is required and whether the login is correct, the next 7 bytes
/// where to cut; the rest is sent by the client.
struct Conversation: Equatable {
    private var actions: [ServerHandshake.Action] = []
    private var consumed = 0

    static func check(_ input: [UInt8]) throws(Violation) {
        guard input.count >= 8 else { return }
        let sent = input[8...]
        let whole = try Conversation(settings: input[0], [sent])
        let pieces = try Conversation(settings: input[0], pieces(of: sent, sizes: input[1..<8]))
        try require(whole == pieces, "\(whole) at once, \(pieces) in pieces")
        let bytes = try Conversation(settings: input[0], sent.map { [$0][...] })
        try require(whole == bytes, "\(whole) at once, \(bytes) byte by byte")
    }

    static func pieces(of sent: ArraySlice<UInt8>, sizes: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var rest = sent
        var pieces: [ArraySlice<UInt8>] = []
        for size in sizes {
            pieces.append(rest.prefix(Int(size)))
            rest = rest.dropFirst(Int(size))
        }
        return pieces + [rest]
    }

    /// Runs the machine as a session does: bytes that it doesn't consume are passed in again, followed by later ones.
    private init(settings: UInt8, _ pieces: [ArraySlice<UInt8>]) throws(Violation) {
        var handshake = ServerHandshake(requiring: settings & 1 == 0 ? .noAuthentication : .usernamePassword)
        var held: [UInt8] = []
        for piece in pieces {
            held += piece
            var awaitsMore = false
            while !awaitsMore {
                let (consumed, action) = handshake.receive(held.span.bytes)
                try require((0...held.count).contains(consumed), "\(consumed) consumed of \(held.count)")
                held.removeFirst(consumed)
                self.consumed += consumed
                switch action {
                case .receiveMore:
                    try require(consumed == 0, "\(consumed) consumed of an incomplete message")
                    awaitsMore = true
                case .select(let selection):
                    try note(action, answer: selection.encoded, consumed)
                case .acknowledge:
                    throw Violation(description: "a login acknowledged before it was verified")
                case .authenticate(let credentials):
                    try note(action, message: credentials, consumed)
                    let verdict = handshake.authenticated(settings & 2 == 0)
                    actions.append(verdict)
                    if case .refuseLogin = verdict { return }
                case .open(let request):
                    try note(action, message: request, consumed)
                    return
                case .establish, .agree, .send, .protect, .refuseContext, .clientAborted:
                    throw Violation(description: "\(action) without GSSAPI")
                case .refuse, .refuseLogin, .reject, .abort:
                    actions.append(action)
                    return
                }
                try require(actions.count <= 4, "more actions than steps: \(actions)")
            }
        }
    }

    private mutating func note(
        _ action: ServerHandshake.Action,
        message: some SOCKSMessage,
        _ consumed: Int
    ) throws(Violation) {
        try require(message.encoded.count == consumed, "\(consumed) consumed for \(message)")
        actions.append(action)
    }

    private mutating func note(_ action: ServerHandshake.Action, answer: [UInt8], _ consumed: Int)
        throws(Violation)
    {
        try require(consumed >= 3, "\(consumed) consumed of a greeting with a method")
        try require(answer.count == 2, "\(answer) as an answer")
        actions.append(action)
    }
}
