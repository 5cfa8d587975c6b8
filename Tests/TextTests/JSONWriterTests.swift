import Glibc
import TestSupport
import Testing

@testable import Text

/// A document whose only value is this text.
private func written(_ text: [UInt8]) -> String {
    var writer = JSONWriter()
    writer.string(text)
    return String(decoding: writer.bytes, as: UTF8.self)
}

@Suite struct JSONWriterTests {
    @Test func commasStandBetweenValuesAndNowhereElse() {
        var writer = JSONWriter()
        writer.object {
            $0.key("empty")
            $0.object { _ in }
            $0.key("list")
            $0.array {
                $0.number(1)
                $0.array { _ in }
                $0.object { $0.field("a", "b") }
                $0.null()
            }
            $0.field("missing", String?.none)
            $0.field("yes", true)
            $0.field("no", false)
        }
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == #"{"empty":{},"list":[1,[],{"a":"b"},null],"yes":true,"no":false}"#
        )
    }

    @Test func aWriterIsUsedAgain() {
        var writer = JSONWriter(Array("data: ".utf8))
        writer.object { $0.field("a", [UInt8]("x".utf8)) }
        #expect(String(decoding: writer.bytes, as: UTF8.self) == #"data: {"a":"x"}"#)
        writer.removeAll()
        writer.array { $0.number(2) }
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "[2]")
    }

    @Test(arguments: [
        (Int.min, "-9223372036854775808"), (-1, "-1"), (0, "0"), (10, "10"), (.max, "9223372036854775807"),
    ])
    func integersAreWholeAtBothEnds(_ value: Int, _ text: String) {
        var writer = JSONWriter()
        writer.number(value)
        #expect(String(decoding: writer.bytes, as: UTF8.self) == text)
    }

    @Test(arguments: [
        (0.5, "0.5"), (-0.0, "-0.0"), (1e300, "1e+300"), (.leastNonzeroMagnitude, "5e-324"),
        (.infinity, "null"),
        (.nan, "null"),
    ])
    func fractionsAreNumbersOfJSONOrNull(_ value: Double, _ text: String) {
        var writer = JSONWriter()
        writer.number(value)
        #expect(String(decoding: writer.bytes, as: UTF8.self) == text)
    }

    /// Most texts are checked eight bytes at a time.
    @Test func aByteThatNeedsAnEscapeIsFoundAtAnyPosition() {
        for byte in UInt8.min...UInt8.max {
            let isPlain = (0x20...0x7e).contains(byte) && byte != 0x22 && byte != 0x5c
            for length in 1...18 {
                for place in 0..<length {
                    var text = [UInt8](repeating: UInt8(ascii: " "), count: length)
                    text[place] = byte
                    let found = text.withUnsafeBufferPointer { JSONString.isPlain($0) }
                    guard found == isPlain else {
                        Issue.record("byte \(byte) at \(place) of \(length)")
                        return
                    }
                }
            }
        }
    }

    @Test func keysOfAnyTextAreEscaped() {
        var writer = JSONWriter()
        writer.object {
            $0.key("a\"\n" as String)
            $0.number(UInt8(255))
        }
        #expect(String(decoding: writer.bytes, as: UTF8.self) == #"{"a\"\u000a":255}"#)
    }

    @Test func hostileTextIsEscaped() {
        let cases: [([UInt8], String)] = [
            (Array("\"><script>alert(1)</script>".utf8), #""\"><script>alert(1)</script>""#),
            (Array("a\nb\r\tc\0".utf8), #""a\u000ab\u000d\u0009c\u0000""#),
            (Array("\u{1b}[2J\u{7f}\u{9b}31m".utf8), #""\u001b[2J\u007f\u009b31m""#),
            (Array("evil\u{202e}txt.exe".utf8), #""evil\u202etxt.exe""#),
            (
                Array("\u{200e}\u{200f}\u{61c}\u{2066}\u{2069}\u{2028}\u{2029}".utf8),
                #""\u200e\u200f\u061c\u2066\u2069\u2028\u2029""#
            ),
            (Array("\\u0041".utf8), #""\\u0041""#),
            (Array("zoë 漢字 🚀".utf8), "\"zoë 漢字 🚀\""),
            ([0xff, 0x41, 0xc3, 0xe2, 0x82, 0x42], "\"\u{fffd}A\u{fffd}\u{fffd}B\""),
            // A longer form of "/", a surrogate, and a value above U+10FFFF.
            ([0xc0, 0xaf], "\"\u{fffd}\u{fffd}\""),
            ([0xed, 0xa0, 0x80], "\"\u{fffd}\u{fffd}\u{fffd}\""),
            ([0xf4, 0x90, 0x80, 0x80], "\"\u{fffd}\u{fffd}\u{fffd}\u{fffd}\""),
        ]
        for (text, json) in cases { #expect(written(text) == json) }
    }

    @Test func everyScalarComesBack() {
        for value in Array(0...0xffff) + stride(from: 0x10000, through: 0x10ffff, by: 61) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = String(Character(scalar))
            let json = Array(written(Array(text.utf8)).utf8)
            guard JSONReader.string(json) != text else { continue }
            Issue.record("U+\(String(value, radix: 16)): \(String(decoding: json, as: UTF8.self))")
        }
    }

    /// Many of the bytes have a meaning in UTF-8 or JSON. `SOCKS5D_FUZZ_RUNS` increases the number of texts.
    @Test func anyBytesGiveValidJSONOnOneLine() {
        let seed: UInt64 = 8259
        var random = SeededGenerator(seed: seed)
        let telling: [UInt8] = [
            0, 9, 10, 13, 0x1b, 0x22, 0x5c, 0x75, 0x7f, 0x80, 0x9b, 0xa0, 0xae, 0xbf, 0xc0, 0xc2, 0xd8, 0xe2,
            0xed,
            0xef, 0xf0, 0xf4, 0xff,
        ]
        let runs = getenv("SOCKS5D_FUZZ_RUNS").flatMap { Int(String(cString: $0)) } ?? 20_000
        for run in 0..<runs {
            let bytes = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                Bool.random(using: &random)
                    ? telling[Int.random(in: 0..<telling.count, using: &random)]
                    : UInt8.random(in: 0...255, using: &random)
            }
            let json = Array(written(bytes).utf8)
            let read = JSONReader.string(json)
            guard read != String(decoding: bytes, as: UTF8.self) || !json.allSatisfy({ $0 >= 0x20 }) else {
                continue
            }
            Issue.record("seed \(seed), run \(run): \(bytes) became \(json)")
        }
    }
}

/// Reads one string by the grammar of RFC 8259 section 7, equally strictly: control characters must be escaped.
private enum JSONReader {
    static func string(_ json: [UInt8]) -> String? {
        guard json.count >= 2, json.first == 0x22, json.last == 0x22 else { return nil }
        var units: [UInt16] = []
        var rest = String(decoding: json[1..<(json.count - 1)], as: UTF8.self).utf16[...]
        while let unit = rest.popFirst() {
            switch unit {
            case 0..<0x20, 0x22: return nil
            case 0x5c:
                guard let escaped = rest.popFirst() else { return nil }
                switch escaped {
                case 0x22, 0x5c: units.append(escaped)
                case 0x75:
                    guard rest.count >= 4, let digits = String(rest.prefix(4)),
                        let value = UInt16(digits, radix: 16)
                    else { return nil }
                    units.append(value)
                    rest = rest.dropFirst(4)
                default: return nil
                }
            default: units.append(unit)
            }
        }
        return String(decoding: units, as: UTF16.self)
    }
}
