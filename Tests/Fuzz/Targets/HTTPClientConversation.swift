import SOCKS5Protocol

/// Properties of the client's side of HTTP CONNECT for any bytes of a proxy, cut into any pieces.
///
/// The first 7 bytes of the input select where to cut; the rest is sent by the proxy.
struct HTTPClientConversation: Equatable {
    private var action = HTTPClientHandshake.Action.receiveMore
    private var consumed = 0

    static func check(_ input: [UInt8]) throws(Violation) {
        guard input.count >= 7 else { return }
        let sent = input[7...]
        let whole = try HTTPClientConversation([sent])
        let pieces = try HTTPClientConversation(Conversation.pieces(of: sent, sizes: input[..<7]))
        try require(whole == pieces, "\(whole) at once, \(pieces) in pieces")
        let bytes = try HTTPClientConversation(sent.map { [$0][...] })
        try require(whole == bytes, "\(whole) at once, \(bytes) byte by byte")
        try require(whole.consumed <= HTTPClientHandshake.longestResponse, "\(whole.consumed) bytes")
        try whole.check(Array(sent))
    }

    private init(_ pieces: [ArraySlice<UInt8>]) throws(Violation) {
        var handshake = HTTPClientHandshake()
        let request = SOCKSRequest(command: .connect, destination: .unspecified)
        try require(handshake.request(request, nil) != nil, "no request")
        for piece in pieces where action == .receiveMore {
            let part: Int
            (part, action) = handshake.receive(Array(piece).span.bytes)
            try require((0...piece.count).contains(part), "\(part) consumed of \(piece.count)")
            consumed += part
            try require(action != .receiveMore || part == piece.count, "\(part) consumed of \(piece.count)")
        }
    }

    /// Splits the response into lines again, without the machine.
    private func check(_ sent: [UInt8]) throws(Violation) {
        guard action == .open else {
            return try require(action != .receiveMore || consumed == sent.count, "\(consumed) consumed")
        }
        let head = sent.prefix(consumed)
        let lines = head.split(separator: 10, omittingEmptySubsequences: false)
        try require(lines.last?.isEmpty == true && lines.dropLast().last == [13], "no empty line at the end")
        try require(lines.dropLast().allSatisfy { $0.last == 13 }, "a line without a CR")
        try require(
            lines.allSatisfy { !$0.dropLast().contains { $0 == 13 || $0 == 0 } },
            "a CR or NUL in a line"
        )
        // Each response ends with an empty line; all but the last one are interim responses.
        let responses = lines.dropLast().split(separator: [13][...])
        for (index, response) in responses.enumerated() {
            let status = response.first?.dropFirst(9).first
            let expected = UInt8(ascii: index == responses.count - 1 ? "2" : "1")
            try require(status == expected, "response \(index) of \(responses.count) has \(status ?? 0)")
        }
    }
}
