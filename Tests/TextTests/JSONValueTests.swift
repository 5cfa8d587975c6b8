import TestSupport
import Testing

@testable import Text

@Suite struct JSONValueTests {
    private func parse(_ text: String) -> JSONValue? { JSONValue(parsing: Array(text.utf8)) }

    @Test func valuesAreReadAsTheyAreWritten() {
        #expect(parse(" null ") == .null && parse("true") == .bool(true) && parse("false") == .bool(false))
        for number in ["0", "-1", "1.5", "1e3", "-0.5E-3", "18446744073709551615"] {
            #expect(parse(number) == .number(number))
        }
        #expect(parse("12")?.integer == 12 && parse("1.5")?.integer == nil && parse("1.5")?.double == 1.5)
        #expect(parse(#""a\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00""#)?.text == "a\"\\/\u{8}\u{c}\n\r\tAé😀")
        #expect(parse(#""\ud83d""#)?.text == "\u{fffd}" && parse(#""\ude00x""#)?.text == "\u{fffd}x")
        #expect(parse(#""\ud83d\u0041""#)?.text == "\u{fffd}A")
        #expect(JSONValue(parsing: [0x22, 0xff, 0x22])?.text == "\u{fffd}")
        let value = parse(#"{"a": [1, {"b": []}], "": {}, "a": 2}"#)
        #expect(value?["a"]?.items.count == 2 && value?["a"]?.items.last?["b"] == .array([]))
        #expect(value?[""] == .object([]) && value?["c"] == nil)
    }

    @Test(arguments: [
        "", " ", "nul", "nulll", "tru", "01", "-", "1.", ".5", "1e", "+1", "\"", "\"\\x\"", "\"\\u12g4\"",
        "\"\\u12\"", "\"\n\"", "[",
        "[1", "[1,", "[1,]", "[1 2]", "{", "{1:2}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1", "1 2",
        "[]]", "'a'",
    ]) func otherTextsAreNone(_ text: String) {
        #expect(parse(text) == nil)
    }

    @Test func depthIsBounded() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(
            parse(nested(64)) != nil && parse(nested(65)) == nil
                && parse(String(repeating: "[{\"a\":", count: 9999)) == nil
        )
    }

    /// The writer's output for any bytes is read as the same text.
    @Test func descriptionsAreParsedBack() {
        var random = SeededGenerator(seed: 8259)
        for _ in 0..<(isQuick ? 2_000 : 20_000) {
            let bytes = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let number = Int64.random(in: .min ... .max, using: &random)
            var json = JSONWriter()
            json.object { json in
                json.field("text", bytes)
                json.field("number", number)
            }
            let value = JSONValue(parsing: json.bytes)
            #expect(value?["text"]?.text == String(decoding: bytes, as: UTF8.self), "\(bytes)")
            #expect(value?["number"] == .number("\(number)"))
        }
    }

    @Test func noBytesTrap() {
        var random = SeededGenerator(seed: 8260)
        let parts = [
            "{", "}", "[", "]", ":", ",", "\"", "\\u", "\\", "d83d", "1", "-", ".", "e", "true", "null", " ",
            "\u{1}", "é",
        ]
        .map { Array($0.utf8) }
        var accepted = 0
        for _ in 0..<(isQuick ? 10_000 : 100_000) {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                bytes += parts.randomElement(using: &random) ?? []
            }
            if JSONValue(parsing: bytes) != nil { accepted += 1 }
        }
        #expect(accepted > 0)
    }
}
