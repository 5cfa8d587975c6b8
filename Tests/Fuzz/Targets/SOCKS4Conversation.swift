import SOCKS5Protocol

/// Properties of the SOCKS4 handshake for any bytes of a client, cut into any pieces.
///
/// The first byte of the input selects whether a login is required, the next 7 bytes where to cut; the rest is sent by
/// the client.
struct SOCKS4Conversation: Equatable {
    private var action = SOCKS4Handshake.Action.receiveMore
    private var consumed = 0
    private var userID: [UInt8]?

    /// The most bytes that a request may have.
    private static let longest = 8 + 256 + 256

    static func check(_ input: [UInt8]) throws(Violation) {
        guard input.count >= 8 else { return }
        let sent = input[8...]
        let whole = try SOCKS4Conversation(settings: input[0], [sent])
        let pieces = try SOCKS4Conversation(
            settings: input[0],
            Conversation.pieces(of: sent, sizes: input[1..<8])
        )
        try require(whole == pieces, "\(whole) at once, \(pieces) in pieces")
        let bytes = try SOCKS4Conversation(settings: input[0], sent.map { [$0][...] })
        try require(whole == bytes, "\(whole) at once, \(bytes) byte by byte")
        let isOver = whole.action != .receiveMore
        try require(isOver || sent.count < longest, "\(sent.count) bytes are still no request")
        try require(whole.consumed <= longest, "a request of \(whole.consumed) bytes")
    }

    private init(settings: UInt8, _ pieces: [ArraySlice<UInt8>]) throws(Violation) {
        var handshake = SOCKS4Handshake(needsLogin: settings & 1 == 1)
        var held: [UInt8] = []
        for piece in pieces where action == .receiveMore {
            held += piece
            (consumed, action) = handshake.receive(held.span.bytes)
            try require((0...held.count).contains(consumed), "\(consumed) consumed of \(held.count)")
            userID = handshake.userID
            try require(userID?.isEmpty != true && userID?.contains(0) != true, "a user ID that is none")
            switch action {
            case .open(let request):
                try require(settings & 1 == 0, "a request without the login that is required")
                let again = SOCKS4Request(
                    command: request.command,
                    destination: request.destination,
                    userID: userID ?? []
                )
                try require(again.encoded.count == consumed, "\(consumed) consumed for \(again)")
            case .refuseWithoutLogin:
                try require(settings & 1 == 1, "a login that is not required")
            case .receiveMore, .refuseUserID, .reject, .abort:
                try require(consumed == 0, "\(consumed) consumed of no request")
            }
        }
    }
}
