/// Makes any text safe inside an HTML document: as an element's text, or as a value between double quotes.
enum HTMLText {
    static func append(_ text: String, to html: inout [UInt8]) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": html.append(contentsOf: "&amp;".utf8)
            case "<": html.append(contentsOf: "&lt;".utf8)
            case ">": html.append(contentsOf: "&gt;".utf8)
            case "\"": html.append(contentsOf: "&quot;".utf8)
            case "'": html.append(contentsOf: "&#39;".utf8)
            case _ where isUnseen(scalar): html.append(contentsOf: scalar.escaped(asASCII: true).utf8)
            default: html.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            }
        }
    }

    /// Whether a character is invisible, or changes the order in which the text around it is displayed: controls,
    /// separators, marks of writing direction, tags. The page's script has the same list.
    private static func isUnseen(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x00...0x1f, 0x7f...0x9f, 0xad, 0x61c, 0x180e, 0x200b...0x200f, 0x2028...0x202e, 0x2060...0x206f,
            0xfeff,
            0xfff9...0xfffb, 0xe0000...0xe0fff:
            true
        default: false
        }
    }
}
