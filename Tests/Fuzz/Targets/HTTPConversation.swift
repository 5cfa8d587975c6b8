import SOCKS5Protocol

/// Properties of HTTP CONNECT for any bytes of a client, cut into any pieces.
///
/// The first byte of the input selects whether a login is required and correct, the next 7 bytes where to cut; the rest
/// is sent by the client.
struct HTTPConversation: Equatable {
    private var actions: [HTTPHandshake.Action] = []
    private var consumed = 0

    static func check(_ input: [UInt8]) throws(Violation) {
        guard input.count >= 8 else { return }
        let sent = input[8...]
        let whole = try HTTPConversation(settings: input[0], [sent])
        let pieces = try HTTPConversation(
            settings: input[0],
            Conversation.pieces(of: sent, sizes: input[1..<8])
        )
        try require(whole == pieces, "\(whole) at once, \(pieces) in pieces")
        let bytes = try HTTPConversation(settings: input[0], sent.map { [$0][...] })
        try require(whole == bytes, "\(whole) at once, \(bytes) byte by byte")
        let isOver = !whole.actions.isEmpty
        try require(isOver || sent.count < HTTPHandshake.longestRequest, "\(sent.count) bytes, no request")
    }

    private init(settings: UInt8, _ pieces: [ArraySlice<UInt8>]) throws(Violation) {
        var handshake = HTTPHandshake(needsLogin: settings & 1 == 1)
        var held: [UInt8] = []
        for piece in pieces where actions.isEmpty {
            held += piece
            let (consumed, action) = handshake.receive(held.span.bytes)
            try require((0...held.count).contains(consumed), "\(consumed) consumed of \(held.count)")
            if action == .receiveMore {
                try require(consumed == 0, "\(consumed) consumed of an incomplete request")
                continue
            }
            self.consumed = consumed
            actions.append(action)
            switch action {
            case .receiveMore: break
            case .open(let request):
                try require(settings & 1 == 0, "a request without the login that is required")
                try check(request, Array(held.prefix(consumed)))
            case .authenticate(let credentials):
                try require(settings & 1 == 1, "a login that is not required")
                let lengths = [credentials.username.count, credentials.password.count]
                try require(lengths.allSatisfy { $0 <= 255 }, "a login of \(lengths) bytes")
                let verdict = handshake.authenticated(settings & 2 == 0)
                if case .open(let request) = verdict { try check(request, Array(held.prefix(consumed))) }
                actions.append(verdict)
            case .refuseLogin, .refuse: break
            }
        }
    }

    /// A request is one line for a tunnel, then fields, and ends with its first empty line.
    private func check(_ request: SOCKSRequest, _ head: [UInt8]) throws(Violation) {
        try require(request.command == .connect && request.destination.port != 0, "\(request)")
        try require(head.starts(with: "CONNECT ".utf8), "another method")
        let lines = head.split(separator: 10, omittingEmptySubsequences: false)
        try require(lines.last?.isEmpty == true && lines.dropLast().last == [13], "no empty line at the end")
        try require(lines.dropLast(2).allSatisfy { $0.count > 1 && $0.last == 13 }, "a line that is none")
        try require(lines.allSatisfy { !$0.dropLast().contains(13) }, "a CR in a line")
    }
}
