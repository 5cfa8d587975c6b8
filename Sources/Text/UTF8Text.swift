/// Reads bytes that may be invalid UTF-8.
package enum UTF8Text {
    /// - Precondition: the byte at `index` isn't ASCII.
    /// - Returns: the scalar and its length in bytes. An invalid part becomes U+FFFD; its length is the one that
    ///   Unicode defines (chapter 3.9, "maximal subpart"), so that `String(decoding:as:)` gives the same result.
    package static func scalar(at index: Int, of text: Span<UInt8>) -> (Unicode.Scalar, length: Int) {
        let first = text[index]
        guard let (length, second) = shape(first) else { return ("\u{fffd}", 1) }
        var value = UInt32(first) & (0x7f >> UInt32(length))
        for offset in 1..<length {
            guard index + offset < text.count else { return ("\u{fffd}", offset) }
            let next = text[index + offset]
            guard (offset == 1 ? second : 0x80...0xbf).contains(next) else { return ("\u{fffd}", offset) }
            value = value << 6 | UInt32(next & 0x3f)
        }
        return (Unicode.Scalar(value) ?? "\u{fffd}", length)
    }

    /// The length of a scalar that begins with this byte, and the allowed range of its second byte. Longer forms than
    /// needed, surrogates, and values above U+10FFFF are invalid.
    private static func shape(_ first: UInt8) -> (length: Int, second: ClosedRange<UInt8>)? {
        switch first {
        case 0xc2...0xdf: (2, 0x80...0xbf)
        case 0xe0: (3, 0xa0...0xbf)
        case 0xed: (3, 0x80...0x9f)
        case 0xe1...0xef: (3, 0x80...0xbf)
        case 0xf0: (4, 0x90...0xbf)
        case 0xf1...0xf3: (4, 0x80...0xbf)
        case 0xf4: (4, 0x80...0x8f)
        default: nil
        }
    }
}
