import SOCKS5Protocol

/// Properties of PROXY headers: each prefix of a header must be incomplete, or give the same result as the whole.
enum ProxyHeaders {
    private enum Outcome: Hashable {
        case incomplete
        case complete(ProxyHeader, length: Int)
        case malformed(MalformedProxyHeader)
    }

    private static func decode(_ bytes: some Sequence<UInt8>) -> Outcome {
        do throws(MalformedProxyHeader) {
            guard let (header, length) = try ProxyHeader.decode(Array(bytes)) else { return .incomplete }
            return .complete(header, length: length)
        } catch {
            return .malformed(error)
        }
    }

    static func check(_ input: [UInt8]) throws(Violation) {
        let whole = decode(input)
        try checkPrefixes(of: input, whole)
        guard case .complete(let header, let length) = whole else { return }
        try require(
            input[..<length].starts(with: "PROXY ".utf8) || input[0] == 0x0d,
            "a header of neither kind"
        )
        if case .ip(let address, let port) = header.client {
            try require(address.unmapped == address, "\(address) is mapped")
            let asLine = ProxyHeader(client: header.client, version: .one)
            let written = ["TCP4", "TCP6"].contains { family in
                let line = "PROXY \(family) \(address) \(address) \(port) \(port)\r\n"
                return decode(line.utf8) == .complete(asLine, length: line.utf8.count)
            }
            try require(written, "\(address) isn't the same in a line")
        }
        if input[0] == 0x0d { try checkSealed(Array(input[..<length]), header) }
    }

    private static func checkPrefixes(of input: [UInt8], _ whole: Outcome) throws(Violation) {
        var outcome = Outcome.incomplete
        var count = 0
        while outcome == .incomplete && count < input.count {
            count += 1
            outcome = decode(input[..<count])
        }
        try require(outcome == whole, "\(whole) at once, \(outcome) after \(count) bytes")
        try require(
            whole != .incomplete || input.count < ProxyHeader.longest,
            "\(input.count) bytes are awaited"
        )
        if case .complete(_, let length) = outcome {
            try require(length == count, "\(length) bytes decoded as soon as there were \(count)")
        }
    }

    /// With a checksum appended, the header is the same; with a changed byte before that, it is refused.
    private static func checkSealed(_ header: [UInt8], _ expected: ProxyHeader) throws(Violation) {
        // Only a header that names a client has its fields in a known place.
        guard expected.client != nil, header.count + 7 <= ProxyHeader.longest else { return }
        var sealed = header + [0x03, 0x00, 0x04, 0, 0, 0, 0]
        sealed[14] = UInt8((sealed.count - 16) >> 8)
        sealed[15] = UInt8((sealed.count - 16) & 0xff)
        let checksum = crc32c(sealed)
        for (index, shift) in [24, 16, 8, 0].enumerated() {
            sealed[sealed.count - 4 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(shift))
        }
        // A second checksum is never right, and the first one covered a shorter header.
        guard decode(sealed) != .malformed(.badChecksum) else {
            return try require(hasChecksum(header), "a right checksum isn't taken")
        }
        try require(
            decode(sealed) == .complete(expected, length: sealed.count),
            "\(decode(sealed)) when sealed"
        )
        sealed[16] ^= 0x01
        try require(decode(sealed) == .malformed(.badChecksum), "\(decode(sealed)) with another address")
    }

    private static func hasChecksum(_ header: [UInt8]) -> Bool {
        var rest = header[(header[13] == 0x11 ? 28 : 52)...]
        while rest.count >= 3 {
            if rest.first == 0x03 { return true }
            let start = rest.startIndex
            rest = rest.dropFirst(3 + Int(rest[start + 1]) << 8 + Int(rest[start + 2]))
        }
        return false
    }

    /// With a table, unlike the implementation under test.
    private static func crc32c(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(UInt32.max) { $0 >> 8 ^ table[Int(($0 ^ UInt32($1)) & 0xff)] }
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { rest, _ in rest & 1 == 0 ? rest >> 1 : rest >> 1 ^ 0x82f6_3b78 }
    }
}
