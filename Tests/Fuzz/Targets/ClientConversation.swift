import SOCKS5Protocol

/// Properties of the client's handshake for any bytes of a server, cut into any pieces.
///
/// The first byte of the input selects what is offered and requested, the next 7 bytes where to cut; the rest is sent
/// by the server.
struct ClientConversation: Equatable {
    private var actions: [ClientHandshake.Action] = []
    private var consumed = 0

    private static let offers: [[AuthenticationMethod]] = [
        [.noAuthentication], [.usernamePassword], [.noAuthentication, .usernamePassword],
        [.usernamePassword, .noAuthentication],
    ]

    static func check(_ input: [UInt8]) throws(Violation) {
        guard input.count >= 8 else { return }
        let sent = input[8...]
        let whole = try ClientConversation(settings: input[0], [sent])
        let pieces = try ClientConversation(
            settings: input[0],
            Conversation.pieces(of: sent, sizes: input[1..<8])
        )
        try require(whole == pieces, "\(whole) at once, \(pieces) in pieces")
        let bytes = try ClientConversation(settings: input[0], sent.map { [$0][...] })
        try require(whole == bytes, "\(whole) at once, \(bytes) byte by byte")
    }

    /// Runs the machine as a client does: bytes that it doesn't consume are passed in again, followed by later ones.
    private init(settings: UInt8, _ pieces: [ArraySlice<UInt8>]) throws(Violation) {
        var handshake = ClientHandshake(offering: Self.offers[Int(settings) % Self.offers.count])
        let command = SOCKSCommand.allCases[Int(settings >> 2) % SOCKSCommand.allCases.count]
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
                    try require(consumed == 0, "\(consumed) consumed of an incomplete message")
                    awaitsMore = true
                case .authenticate:
                    try require(consumed == 2, "\(consumed) consumed of a method selection")
                    _ = handshake.logIn(Credentials(username: "a", password: "b"))
                case .request:
                    try require(consumed == 2, "\(consumed) consumed before the request")
                    _ = handshake.request(SOCKSRequest(command: command, destination: .unspecified))
                case .awaitPeer(let bound):
                    try require(command == .bind, "\(action) of \(command)")
                    try check(consumed, bound)
                case .open(let bound):
                    try check(consumed, bound)
                    return
                case .fail:
                    return
                }
                try require(actions.count <= 4, "more actions than steps: \(actions)")
            }
        }
    }

    private func check(_ consumed: Int, _ bound: Destination) throws(Violation) {
        let length = SOCKSResponse(reply: .succeeded, boundAddress: bound).encoded.count
        try require(consumed == length, "\(consumed) consumed for \(bound)")
    }
}
