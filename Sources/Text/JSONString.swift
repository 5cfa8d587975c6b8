/// The inside of a JSON string. Nothing in it can end the string or the line, or change the order in which it is
/// displayed.
enum JSONString {
    /// Copies runs that need no escape in one piece: most texts are one such run.
    static func append(_ text: Span<UInt8>, to bytes: inout [UInt8]) {
        var (start, index) = (0, 0)
        while index < text.count {
            let byte = text[index]
            if isPlain(byte) {
                index += 1
                continue
            }
            append(text, start..<index, to: &bytes)
            if byte < 0x80 {
                append(escapedASCII: byte, to: &bytes)
                index += 1
            } else {
                let (scalar, length) = UTF8Text.scalar(at: index, of: text)
                append(scalar, to: &bytes)
                index += length
            }
            start = index
        }
        append(text, start..<index, to: &bytes)
    }

    /// Whether the whole text needs no escape.
    static func isPlain(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        let bytes = UnsafeRawBufferPointer(text)
        var index = 0
        while index + 8 <= bytes.count {
            guard isPlain(bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)) else { return false }
            index += 8
        }
        while index < bytes.count {
            guard isPlain(bytes[index]) else { return false }
            index += 1
        }
        return true
    }

    /// Checks eight bytes at once. Subtracting more than a byte's value sets its highest bit.
    @inline(__always)
    private static func isPlain(_ bytes: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highest = ones << 7
        let (quote, backslash) = (bytes ^ (ones * 0x22), bytes ^ (ones * 0x5c))
        let isControl = (bytes &- (ones * 0x20)) & ~bytes
        let isQuote = (quote &- ones) & ~quote
        let isBackslash = (backslash &- ones) & ~backslash
        // Among bytes whose highest bit is clear, adding one sets it only for 0x7f.
        let isDelete = bytes &+ ones
        return (bytes | isControl | isQuote | isBackslash | isDelete) & highest == 0
    }

    @inline(__always)
    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    private static func append(_ text: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]) {
        guard !range.isEmpty else { return }
        text.withUnsafeBufferPointer { bytes.append(contentsOf: UnsafeBufferPointer(rebasing: $0[range])) }
    }

    private static func append(escapedASCII byte: UInt8, to bytes: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(byte)
        default:
            append(escaped: UInt32(byte), to: &bytes)
        }
    }

    private static func append(_ scalar: Unicode.Scalar, to bytes: inout [UInt8]) {
        switch scalar.value {
        // Control characters, marks and embeddings of writing direction, ends of lines and paragraphs.
        case 0x80...0x9f, 0x61c, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069:
            append(escaped: scalar.value, to: &bytes)
        default:
            bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }

    /// - Parameter value: below 0x10000.
    private static func append(escaped value: UInt32, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(UInt8(ascii: "u"))
        for shift in stride(from: UInt32(12), through: 0, by: -4) {
            let digit = UInt8(value >> shift & 0xf)
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") - 10 + digit)
        }
    }
}
