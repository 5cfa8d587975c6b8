// Formats numbers as the page's script does.

extension UInt64 {
    /// `12.3 MB`, in powers of ten.
    var inBytes: String {
        let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
        var unit = 0
        var size: UInt64 = 1
        while self / size >= 1000, unit < units.count - 1 {
            size *= 1000
            unit += 1
        }
        guard unit > 0 else { return "\(self) B" }
        return "\(self / size).\(self % size / (size / 10)) \(units[unit])"
    }
}

extension Duration {
    /// `12 s`, `3 min`, `4 h 5 min` or `6 d 7 h`.
    var inWords: String {
        let seconds = max(0, components.seconds)
        return switch seconds {
        case ..<60: "\(seconds) s"
        case ..<3600: "\(seconds / 60) min"
        case ..<86400: "\(seconds / 3600) h \(seconds % 3600 / 60) min"
        default: "\(seconds / 86400) d \(seconds % 86400 / 3600) h"
        }
    }
}

extension String {
    /// Encoded for a part of a query (RFC 3986 section 2.1).
    var percentEncoded: String {
        utf8.reduce(into: "") { text, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                text += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
    }
}
