internal import Text

/// Represents bytes that somebody else has chosen, such as a user's name: text on one line that differs for different
/// names, and that can't change the order in which text is displayed.
enum LabelText {
    /// Invalid UTF-8, control characters, marks of writing direction, line ends, and `%` become `%XX`.
    static func text(of name: [UInt8]) -> [UInt8] {
        if name.allSatisfy({ (0x20..<0x7f).contains($0) && $0 != UInt8(ascii: "%") }) { return name }
        var text: [UInt8] = []
        var index = 0
        while index < name.count {
            let first = name[index]
            let (scalar, length) =
                first < 0x80 ? (Unicode.Scalar(first), 1) : UTF8Text.scalar(at: index, of: name.span)
            let bytes = name[index..<index + length]
            // Invalid UTF-8 is decoded as a replacement character, whose bytes differ.
            if isPlain(scalar) && UTF8.encode(scalar).map(bytes.elementsEqual) == true {
                text += bytes
            } else {
                for byte in bytes { append(escaped: byte, to: &text) }
            }
            index += length
        }
        return text
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x25, 0x7f...0x9f, 0x61c, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069: false
        default: true
        }
    }

    private static func append(escaped byte: UInt8, to text: inout [UInt8]) {
        text.append(UInt8(ascii: "%"))
        for digit in [byte >> 4, byte & 0xf] {
            text.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") - 10 + digit)
        }
    }
}
