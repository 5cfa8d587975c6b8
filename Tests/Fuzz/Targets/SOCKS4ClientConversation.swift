import SOCKS5Protocol

/// Properties of the client's side of SOCKS4 for any bytes of a server, cut into any pieces.
///
/// The first byte of the input selects the request, the next 7 bytes the cuts; the server sends the rest.
struct SOCKS4ClientConversation: Equatable {
    private var actions: [SOCKS4ClientHandshake.Action] = []
    private var consumed = 0

    static func check(_ input: [UInt8]) throws(Violation) {
        guard input.count >= 8 else { return }
        let sent = input[8...]
        let whole = try SOCKS4ClientConversation(settings: input[0], [sent])
        let pieces = try SOCKS4ClientConversation(
            settings: input[0],
            Conversation.pieces(of: sent, sizes: input[1..<8])
        )
        try require(whole == pieces, "\(whole) at once, \(pieces) in pieces")
        let bytes = try SOCKS4ClientConversation(settings: input[0], sent.map { [$0][...] })
        try require(whole == bytes, "\(whole) at once, \(bytes) byte by byte")
    }

    private init(settings: UInt8, _ pieces: [ArraySlice<UInt8>]) throws(Violation) {
        let command: SOCKSCommand = settings & 1 == 0 ? .connect : .bind
        var handshake = SOCKS4ClientHandshake()
        let request = SOCKSRequest(command: command, destination: .unspecified)
        try require(handshake.request(request, userID: []) != nil, "no request")
        var held: [UInt8] = []
        for piece in pieces {
            held += piece
            var awaitsMore = false
            while !awaitsMore {
                let (consumed, action) = handshake.receive(held.span.bytes)
                try require((0...held.count).contains(consumed), "\(consumed) consumed of \(held.count)")
                held.removeFirst(consumed)
                self.consumed += consumed
                if action != .receiveMore { actions.append(action) }
                switch action {
                case .receiveMore:
                    try require(consumed == 0 && held.count < 8, "\(held.count) bytes are still no reply")
                    awaitsMore = true
                case .awaitPeer:
                    try require(command == .bind && consumed == 8, "\(action) of \(command)")
                case .open(let bound):
                    try require((bound != nil) == (command == .bind) && consumed == 8, "\(action)")
                    return
                case .fail:
                    try require(consumed == 0, "\(consumed) consumed of a refusal")
                    return
                }
                try require(actions.count <= 2, "more actions than replies: \(actions)")
            }
        }
    }
}
