import SOCKS5Protocol

/// Properties of the decoder of any message.
enum Decoder<Decoded: SOCKSMessage & Hashable> {
    private enum Outcome: Hashable {
        case incomplete
        case complete(Decoded, length: Int)
        case malformed(MalformedMessage)
    }

    private static func decode(_ bytes: some Sequence<UInt8>) -> Outcome {
        do throws(MalformedMessage) {
            guard let (message, length) = try Decoded.decode(Array(bytes)) else { return .incomplete }
            return .complete(message, length: length)
        } catch {
            return .malformed(error)
        }
    }

    static func check(_ input: [UInt8]) throws(Violation) {
        let whole = decode(input)
        if case .complete(let message, let length) = whole {
            try require(length <= input.count, "\(length) bytes taken of \(input.count)")
            let encoded = message.encoded
            try require(encoded.count == length, "\(length) bytes decoded, \(encoded.count) encoded")
            try require(
                decode(encoded) == .complete(message, length: length),
                "\(message) is \(decode(encoded)) after encoding"
            )
        }
        try checkPrefixes(of: input, whole)
    }

    /// Each prefix of a message must be incomplete, or give the same result as the whole.
    private static func checkPrefixes(of input: [UInt8], _ whole: Outcome) throws(Violation) {
        var outcome = Outcome.incomplete
        var count = 0
        while outcome == .incomplete && count < input.count {
            count += 1
            outcome = decode(input[..<count])
        }
        try require(outcome == whole, "\(whole) at once, \(outcome) after \(count) bytes")
        if case .complete(_, let length) = outcome {
            try require(length == count, "\(length) bytes decoded as soon as there were \(count)")
        }
    }
}
