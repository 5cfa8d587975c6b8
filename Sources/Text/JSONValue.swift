/// A JSON value (RFC 8259), for a program that reads answers in JSON.
package enum JSONValue: Equatable, Sendable {
    package struct Member: Equatable, Sendable {
        package let key: String
        package let value: JSONValue
    }

    case null
    case bool(Bool)
    /// As it is written, so that no digit is lost.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([Member])

    /// - Returns: `nil` if the bytes aren't one JSON text, or are nested deeper than 64 arrays and objects.
    package init?(parsing bytes: [UInt8]) {
        var reader = JSONReader(bytes)
        guard let value = reader.document() else { return nil }
        self = value
    }

    /// The first member with this name; `nil` if there is none.
    package subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    package var text: String? { if case .string(let text) = self { text } else { nil } }
    package var items: [JSONValue] { if case .array(let items) = self { items } else { [] } }

    /// `nil` if it isn't a whole number, or is too large.
    package var integer: Int? { if case .number(let digits) = self { Int(digits) } else { nil } }
    package var double: Double? { if case .number(let digits) = self { Double(digits) } else { nil } }
}

/// Reads JSON. Never traps, whatever the bytes.
private struct JSONReader {
    private static let deepest = 64

    private let bytes: [UInt8]
    private var place = 0
    private var depth = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func document() -> JSONValue? {
        guard let value = value() else { return nil }
        skipBlanks()
        return place == bytes.count ? value : nil
    }

    private mutating func value() -> JSONValue? {
        skipBlanks()
        switch next {
        case UInt8(ascii: "{"): return nested { $0.object() }
        case UInt8(ascii: "["): return nested { $0.array() }
        case UInt8(ascii: "\""): return string().map { .string($0) }
        case UInt8(ascii: "t"): return word("true", .bool(true))
        case UInt8(ascii: "f"): return word("false", .bool(false))
        case UInt8(ascii: "n"): return word("null", .null)
        case nil: return nil
        case _?: return number()
        }
    }

    private mutating func nested(_ read: (inout JSONReader) -> JSONValue?) -> JSONValue? {
        guard depth < Self.deepest else { return nil }
        depth += 1
        defer { depth -= 1 }
        place += 1
        return read(&self)
    }

    private mutating func object() -> JSONValue? {
        var members: [JSONValue.Member] = []
        if take("}") { return .object([]) }
        while true {
            skipBlanks()
            guard next == UInt8(ascii: "\""), let key = string(), take(":"), let value = value() else {
                return nil
            }
            members.append(JSONValue.Member(key: key, value: value))
            if take("}") { return .object(members) }
            guard take(",") else { return nil }
        }
    }

    private mutating func array() -> JSONValue? {
        var items: [JSONValue] = []
        if take("]") { return .array([]) }
        while true {
            guard let value = value() else { return nil }
            items.append(value)
            if take("]") { return .array(items) }
            guard take(",") else { return nil }
        }
    }

    private mutating func number() -> JSONValue? {
        let start = place
        _ = take(exactly: "-")
        if !take(exactly: "0") { guard digits() else { return nil } }
        if take(exactly: ".") { guard digits() else { return nil } }
        if take(exactly: "e") || take(exactly: "E") {
            if !take(exactly: "+") { _ = take(exactly: "-") }
            guard digits() else { return nil }
        }
        return .number(String(decoding: bytes[start..<place], as: UTF8.self))
    }

    /// - Returns: false if there are none.
    private mutating func digits() -> Bool {
        let start = place
        while let next, (0x30...0x39).contains(next) { place += 1 }
        return place > start
    }

    private mutating func string() -> String? {
        place += 1
        var text: [UInt8] = []
        while let byte = next {
            place += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let scalar = escape() else { return nil }
                text += Array(String(scalar).utf8)
            case 0..<0x20: return nil
            default: text.append(byte)
            }
        }
        return nil
    }

    private mutating func escape() -> Character? {
        guard let byte = next else { return nil }
        place += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Character(Unicode.Scalar(byte))
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return unit().map { Character(scalar(from: $0)) }
        default: return nil
        }
    }

    /// A half of a surrogate pair without the other half becomes U+FFFD.
    private mutating func scalar(from unit: UInt32) -> Unicode.Scalar {
        guard (0xd800...0xdbff).contains(unit) else { return Unicode.Scalar(unit) ?? "\u{fffd}" }
        let behind = place
        guard take(exactly: "\\"), take(exactly: "u"), let low = self.unit(), (0xdc00...0xdfff).contains(low)
        else {
            place = behind
            return "\u{fffd}"
        }
        return Unicode.Scalar(0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00)) ?? "\u{fffd}"
    }

    private mutating func unit() -> UInt32? {
        guard place + 4 <= bytes.count else { return nil }
        var unit: UInt32 = 0
        for byte in bytes[place..<(place + 4)] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            unit = unit << 4 | UInt32(digit)
        }
        place += 4
        return unit
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) -> JSONValue? {
        let end = place + word.utf8CodeUnitCount
        guard end <= bytes.count else { return nil }
        let isWord = word.withUTF8Buffer { $0.elementsEqual(bytes[place..<end]) }
        place = end
        return isWord ? value : nil
    }

    // MARK: - Bytes

    private var next: UInt8? { place < bytes.count ? bytes[place] : nil }

    private mutating func skipBlanks() {
        while let next, [0x20, 0x09, 0x0a, 0x0d].contains(next) { place += 1 }
    }

    private mutating func take(_ sign: Unicode.Scalar) -> Bool {
        skipBlanks()
        return take(exactly: sign)
    }

    private mutating func take(exactly sign: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: sign) else { return false }
        place += 1
        return true
    }
}
