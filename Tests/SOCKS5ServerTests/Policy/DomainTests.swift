import SOCKS5Protocol
import TestSupport
import Testing

@testable import ProxyPolicy
@testable import SOCKS5Server

@Suite struct DomainTests {
    private static func matches(_ patterns: [String], _ name: String) throws -> [Int] {
        let table = DomainTable(
            try patterns.enumerated().map { (pattern: try DomainPattern(parsing: $1), value: $0) }
        )
        var found: [Int] = []
        table.forEachValue(of: try #require(HostName(name))) { found.append($0) }
        return found.sorted()
    }

    @Test(arguments: [
        (
            "example.com", ["example.com", "EXAMPLE.com", "example.com."],
            ["www.example.com", "xexample.com", "com"]
        ),
        (
            ".example.com", ["example.com", "www.example.com", "a.b.Example.COM."],
            ["xexample.com", "example.com.x", "com", "example.com.a."]
        ),
        ("*.example.com", ["www.example.com", "a.b.example.com"], ["example.com", "xexample.com"]),
        (
            "cdn-*.example.com", ["cdn-1.example.com", "CDN-.example.com"],
            ["cdn-1.eu.example.com", "cdn.example.com", "x.cdn-1.example.com", "cdn-1.example.org"]
        ),
        ("*track*", ["track", "xtracker"], ["a.track", "track.com"]),
        ("*.ads*.com", ["x.ads.com", "a.b.ads7.com"], ["ads.com", "x.ad.com", "x.ads.y.com"]),
        ("a.*.com", ["a.b.com"], ["a.com", "a.b.c.com", "x.a.b.com"]),
        ("*.*.com", ["a.b.com", "a.b.c.com"], ["a.com"]),
        ("*a*b*.x", ["ab.x", "xaxbx.x", "aab.x", "abab.x"], ["ba.x", "a.b.x"]),
        ("*", ["com", "example.com", "a.b.c", "0x7f.x1"], []),
        (".com", ["com", "a.com", "a.b.com"], ["com.org"]),
        ("xn--bcher-kva.example", ["xn--bcher-kva.EXAMPLE"], ["bcher.example"]),
        ("_sip._tcp.example.com", ["_sip._tcp.example.com"], ["sip.tcp.example.com"]),
    ]) func aPatternMatches(_ pattern: String, _ names: [String], _ others: [String]) throws {
        for name in names { #expect(try Self.matches([pattern], name) == [0], "\(name)") }
        for name in others { #expect(try Self.matches([pattern], name).isEmpty, "\(name)") }
    }

    @Test func everyMatchingPatternIsFound() throws {
        let patterns = ["a.b.com", ".b.com", "*.com", "b.com", "*", "a*.b.com", "c.com"]
        #expect(try Self.matches(patterns, "a.b.com") == [0, 1, 2, 4, 5])
        #expect(try Self.matches(patterns, "b.com") == [1, 2, 3, 4])
        #expect(try Self.matches(patterns, "com") == [4])
    }

    @Test func theLongestAndTheOddestNamesAreLookedUp() throws {
        let dots = String(repeating: "a.", count: 127) + "b"
        for name in [
            dots, String(repeating: "a", count: 255), "com.", "-", "_", "-.com", "a-_.b",
        ] {
            #expect(try Self.matches([".com", "b", "*", "*.x"], name).contains(2), "\(name)")
        }
        #expect(try Self.matches([".com", "*.b"], dots) == [1])
    }

    @Test(arguments: [
        "", ".", "..", "a..b", ".a..b", "a b", "http://a.com", "a.com/", "a.com:80", "10.0.0.1", "::1",
        "[::1]",
        "1.2", "bücher.example", ".*.a", ".a*.b", "a\nb", "a@b.com", String(repeating: "a", count: 256),
    ]) func invalidDomainsAreRefused(_ text: String) {
        let error = #expect(throws: ConfigurationError.self) { try DomainPattern(parsing: text) }
        #expect(error?.description.contains("expected example.com, .example.com") == true)
        #expect(error?.description.contains("\n") == false)
    }

    @Test func caseAndTrailingDotOfAPatternMakeNoDifference() throws {
        #expect(try DomainPattern(parsing: "Example.COM.") == DomainPattern(parsing: "example.com"))
        #expect(try DomainPattern(parsing: "*.Example.com.").description == "*.example.com")
    }

    /// 10⁵ names of few letters and few labels, so that many match, compared with a model that compares label by label.
    @Test(arguments: [1, 2, 3, 4]) func theTableAgreesWithTheModel(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for round in 0..<(isQuick ? 100 : 1_000) {
            let texts = (0..<Int.random(in: 0...8, using: &random)).map { _ in Self.pattern(&random) }
            let table = DomainTable(
                try texts.enumerated().map { (pattern: try DomainPattern(parsing: $1), value: $0) }
            )
            for _ in 0..<25 {
                let text =
                    Self.labels("abA", 4, &random).joined(separator: ".")
                    + (Bool.random(using: &random) ? "." : "")
                let name = try #require(HostName(text))
                var found: [Int] = []
                table.forEachValue(of: name) { found.append($0) }
                let expected = texts.indices.filter { Self.model(texts[$0], name.description) }
                if found.sorted() != expected {
                    Issue.record("\(text) in \(texts), seed \(seed), round \(round)")
                }
            }
        }
    }

    private static func labels(_ letters: String, _ most: Int, _ random: inout SeededGenerator) -> [String] {
        (0..<Int.random(in: 1...most, using: &random)).map { _ in
            String(
                (0..<Int.random(in: 1...3, using: &random)).compactMap { _ in
                    letters.randomElement(using: &random)
                }
            )
        }
    }

    private static func pattern(_ random: inout SeededGenerator) -> String {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: labels("ab", 3, &random).joined(separator: ".")
        case 1: "." + labels("ab", 3, &random).joined(separator: ".")
        case 2: "*." + labels("ab*", 3, &random).joined(separator: ".")
        default: labels("ab*", 3, &random).joined(separator: ".")
        }
    }

    private static func model(_ pattern: String, _ name: String) -> Bool {
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        if pattern.hasPrefix(".") {
            let wanted = pattern.dropFirst().split(separator: ".")
            return labels.suffix(wanted.count) == wanted[...]
        }
        var wanted = pattern.split(separator: ".")
        if wanted.first == "*" {
            wanted.removeFirst()
            return labels.count > wanted.count && zip(labels.suffix(wanted.count), wanted).allSatisfy(label)
        }
        return labels.count == wanted.count && zip(labels, wanted).allSatisfy(label)
    }

    private static func label(_ text: Substring, _ pattern: Substring) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        if first == "*" {
            let rest = pattern.dropFirst()
            return label(text, rest) || (!text.isEmpty && label(text.dropFirst(), pattern))
        }
        return text.first == first && label(text.dropFirst(), pattern.dropFirst())
    }
}
