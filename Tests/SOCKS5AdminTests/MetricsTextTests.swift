import SOCKS5Server
import TestSupport
import Testing

@testable import SOCKS5Admin

@Suite struct MetricsTextTests {
    private func text(
        _ format: MetricsFormat = .prometheus,
        _ configure: (inout Configuration) -> Void = { _ in },
        _ change: (inout MetricsInput) -> Void = { _ in }
    ) async throws -> String {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        configuration.workers = 1
        configure(&configuration)
        let server = try ProxyServer(configuration: configuration)
        try await server.start()
        var input = MetricsInput(server.metrics(), version: "1.2.3")
        change(&input)
        await server.stop(grace: .zero)
        return String(decoding: MetricsText.bytes(input, as: format), as: UTF8.self)
    }

    @Test(arguments: [
        ([], MetricsFormat.prometheus), (["*/*"], .prometheus), (["text/plain"], .prometheus),
        (["application/openmetrics-text"], .openMetrics),
        (["application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4"], .openMetrics),
        (["application/openmetrics-text;q=0.3, text/plain;version=0.0.4;q=0.9"], .prometheus),
        (["application/openmetrics-text;version=2.0.0"], .prometheus),
        (["application/openmetrics-text; version=0.0.1; q=0.75, text/plain"], .prometheus),
        (["APPLICATION/OpenMetrics-Text ; Q=1"], .openMetrics),
        (["application/openmetrics-text;q=0"], .prometheus), ([";;,,;q", "text/html"], .prometheus),
        (["text/plain;q=0.1", "application/openmetrics-text;version=1.0.0;q=0.9"], .openMetrics),
    ])
    func openMetricsIsChosenOnRequest(_ accept: [String], _ expected: MetricsFormat) {
        #expect(MetricsFormat(accept: accept) == expected, "\(accept)")
    }

    @Test(
        arguments: [
            (Array("alice".utf8), "alice"), (Array("jürgen".utf8), "jürgen"),
            (Array("a b\"c\\d".utf8), "a b\"c\\d"), (Array("a\nb\r\t\u{7f}".utf8), "a%0Ab%0D%09%7F"),
            (Array("\"><script>".utf8), "\"><script>"), (Array("x\u{202e}y".utf8), "x%E2%80%AEy"),
            ([0xff, 0x61, 0xc3], "%FFa%C3"), (Array("%FF".utf8), "%25FF"),
            (Array("\u{fffd}".utf8), "\u{fffd}"),
            ([0x1b, 0x5b, 0x33, 0x31, 0x6d], "%1B[31m"), (Array("\u{2028}\u{85}".utf8), "%E2%80%A8%C2%85"),
            ([0xed, 0xa0, 0x80], "%ED%A0%80"), ([], ""),
        ] as [([UInt8], String)]
    )
    func namesBecomeTextOnOneLine(_ name: [UInt8], _ expected: String) {
        #expect(String(decoding: LabelText.text(of: name), as: UTF8.self) == expected)
    }

    @Test func noTwoNamesShareAText() {
        var random = SeededGenerator(seed: 11)
        var seen: [[UInt8]: [UInt8]] = [:]
        let pieces: [[UInt8]] = [
            [0xff], [0xc3], [0xa9], Array("%C3".utf8), Array("é".utf8), Array("\u{fffd}".utf8), [0x25],
            [0x0a],
            Array("%25".utf8), Array("\\n".utf8),
        ]
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...3, using: &random)
            let name = (0..<count).flatMap { _ in pieces[Int.random(in: 0..<pieces.count, using: &random)] }
            let text = LabelText.text(of: name)
            #expect(String(validating: text, as: UTF8.self) != nil)
            if let other = seen.updateValue(name, forKey: text) { #expect(other == name) }
        }
    }

    @Test func valuesOfLabelsCannotEndThem() {
        let family = MetricFamily(.gauge, "x", ["user"], "Help.") {
            $1.add(1, of: [LabelText.text(of: Array("a\"\\\n} 2".utf8))])
            _ = $0
        }
        var writer = SampleWriter(.prometheus)
        writer.begin(family)
        writer.add(7, "a\"} 9\nx \\")
        let text = String(decoding: writer.bytes, as: UTF8.self)
        #expect(text == "# HELP x Help.\n# TYPE x gauge\nx{user=\"a\\\"} 9\\nx \\\\\"} 7\n")
    }

    @Test func familiesHaveNamesAndHelpOfTheRightForm() {
        let names = MetricFamily.all.map(\.name)
        #expect(Set(names).count == names.count)
        for family in MetricFamily.all {
            #expect(family.name.hasPrefix("socks5d_") || family.name.hasPrefix("process_"))
            #expect(family.name.hasSuffix("_total") == (family.kind == .counter), "\(family.name)")
            #expect(family.help.hasSuffix(".") && !family.help.contains { "\"\\\n".contains($0) })
        }
    }

    @Test func openMetricsNamesCountersWithoutTheirEndingAndEnds() async throws {
        let text = try await text(.openMetrics)
        #expect(text.contains("# TYPE socks5d_bytes counter\n"))
        #expect(text.contains("\nsocks5d_bytes_total{direction=\"sent\",transport=\"tcp\"} 0\n"))
        #expect(text.hasSuffix("\n# EOF\n"))
        let plain = try await self.text()
        #expect(plain.contains("# TYPE socks5d_bytes_total counter\n") && !plain.contains("# EOF"))
    }

    @Test func usersAreCalledByTheirNames() async throws {
        let names = ["alice", "other", "\"><script>", "a\nb", "x\u{202e}y"].map { Array($0.utf8) } + [[0xff]]
        let text = try await text(.prometheus) {
            $0.users = names.map { ProxyUser(name: $0, password: [1]) }
            $0.limits.user.quota = Quota(bytes: 1000, period: .day)
        }
        let lines = text.split(separator: "\n").filter { $0.hasPrefix("socks5d_user_sessions{") }
        let values = ["alice", "%6Fther", "\\\"><script>", "a%0Ab", "x%E2%80%AEy", "%FF", "other"]
        #expect(lines.map { "\($0)" } == values.map { "socks5d_user_sessions{user=\"\($0)\"} 0" })
        #expect(text.contains("\nsocks5d_user_quota_used_bytes{user=\"alice\"} 0\n"))
        #expect(!text.contains("socks5d_user_quota_used_bytes{user=\"other\"}"))
    }

    @Test func theSystemTellsOfTheProcess() throws {
        let numbers = ProcessNumbers.now()
        #expect(numbers.cpuSeconds > 0)
        #expect(try #require(numbers.openDescriptors) >= 3)
        #expect(try #require(numbers.residentBytes) > 1 << 20)
        #expect(try #require(numbers.virtualBytes) >= #require(numbers.residentBytes))
        #expect(try #require(numbers.threads) >= 1)
        #expect(try #require(numbers.maximumDescriptors) >= 3)
        let start = try #require(numbers.startSeconds)
        #expect(start > 1_600_000_000 && start == ProcessNumbers.now().startSeconds)
    }
}
