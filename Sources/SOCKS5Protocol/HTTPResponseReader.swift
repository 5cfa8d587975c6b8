/// Reads a proxy's response to HTTP CONNECT one byte at a time, up to the first byte of the tunnel.
///
/// Only the status of a response matters; its fields are read only to find their end (RFC 9110 section 9.3.6). A line
/// must end with CRLF, so that payload can begin in only one place.
struct HTTPResponseReader {
    private enum Place {
        /// In `HTTP/1.1 200 `, before the byte with this index.
        case status(Int)
        case reason
        /// After the CR of a line.
        case lineEnd(isField: Bool)
        /// At the start of a line. A line that begins with a space continues the one before, which must be a field (RFC
        /// 9112 section 5.2).
        case lineStart(mayGoOn: Bool)
        case fieldName
        /// Between a field's name and its colon.
        case fieldSpace
        case fieldValue
        /// After the CR of the empty line.
        case end
    }

    private var place = Place.status(0)
    private var status = 0

    /// Reads the next byte.
    ///
    /// - Returns: whether this is the last byte before the tunnel.
    /// - Throws: as soon as it is certain that there will be no tunnel; for a refusal, after its status.
    mutating func read(_ byte: UInt8) throws(HTTPClientHandshake.Failure) -> Bool {
        switch place {
        case .status(let index): try readStatus(byte, at: index)
        case .reason: place = try Self.text(byte, else: .lineEnd(isField: false)) ?? .reason
        case .fieldValue: place = try Self.text(byte, else: .lineEnd(isField: true)) ?? .fieldValue
        case .lineEnd(let isField):
            try Self.expect(byte == UInt8(ascii: "\n"))
            place = .lineStart(mayGoOn: isField)
        case .lineStart(let mayGoOn):
            if byte == UInt8(ascii: "\r") {
                place = .end
            } else if byte.isSpace {
                try Self.expect(mayGoOn)
                place = .fieldValue
            } else {
                try Self.expect(byte.isTokenByte)
                place = .fieldName
            }
        case .fieldName where byte.isTokenByte: break
        case .fieldName, .fieldSpace:
            try Self.expect(byte == UInt8(ascii: ":") || byte.isSpace)
            place = byte.isSpace ? .fieldSpace : .fieldValue
        case .end:
            try Self.expect(byte == UInt8(ascii: "\n"))
            guard status / 100 == 1 else { return true }
            self = HTTPResponseReader()
        }
        return false
    }

    private mutating func readStatus(_ byte: UInt8, at index: Int) throws(HTTPClientHandshake.Failure) {
        let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        switch index {
        case 0..<Self.version.count: try Self.expect(byte == Self.version[index])
        case 7: try Self.expect(isDigit)
        case 8: try Self.expect(byte == UInt8(ascii: " "))
        case 9...11:
            try Self.expect(isDigit)
            status = status * 10 + Int(byte - UInt8(ascii: "0"))
            try Self.expect((1...5).contains(status) || index > 9)
        default:
            // Some servers omit the space if there is no reason phrase.
            try Self.expect(byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\r"))
            try judge()
            place = byte == UInt8(ascii: " ") ? .reason : .lineEnd(isField: false)
            return
        }
        place = .status(index + 1)
    }

    private static let version = Array("HTTP/1.".utf8)

    private func judge() throws(HTTPClientHandshake.Failure) {
        switch status {
        case 101, 300...399: throw .unexpected(status: status)
        case 407: throw .loginRefused
        case 400...599: throw .refused(status: status)
        default: break
        }
    }

    /// - Returns: `end` after a CR, `nil` while the line continues.
    private static func text(_ byte: UInt8, else end: Place) throws(HTTPClientHandshake.Failure) -> Place? {
        switch byte {
        case UInt8(ascii: "\r"): return end
        case UInt8(ascii: "\t"), 0x20...0x7e, 0x80...0xff: return nil
        default: throw .malformed
        }
    }

    private static func expect(_ condition: Bool) throws(HTTPClientHandshake.Failure) {
        guard condition else { throw .malformed }
    }
}

extension UInt8 {
    fileprivate var isSpace: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }
}
