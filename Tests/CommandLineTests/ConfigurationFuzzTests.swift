import Glibc
import TestSupport
import Testing

@testable import socks5d

@Suite struct ConfigurationFuzzTests {
    /// `SOCKS5D_FUZZ_RUNS` makes it more documents.
    private static var runs: Int {
        getenv("SOCKS5D_FUZZ_RUNS").flatMap { Int(String(cString: $0)) } ?? (isQuick ? 10_000 : 50_000)
    }

    /// A small table, whose documents are small too: many reach the decoder.
    @Test func noDocumentTraps() throws {
        let words = ["rooms", "rules", "allow", "limits"]
        try expectNoTrap(ConfigurationFileTests.whole, words, Inn.table, Inn())
    }

    @Test func noConfigurationFileTraps() throws {
        let file = projectFolder + "/examples/full.yaml"
        let settings = Effective.leaves(Settings.table.settings)
        let words =
            settings.flatMap { $0.0.split(separator: ".").map(String.init) } + [
                "deny", "allow", "networks", "10.0.0.0/8", "::/0", "users", "name", "password",
                "password-hash",
            ]
        try expectNoTrap(readFile(file), words, Settings.table, Settings())
    }

    /// Documents made of parts with a meaning in YAML, and mutations of a valid one. Every document is either read or
    /// reported.
    private func expectNoTrap<Model>(
        _ whole: String,
        _ words: [String],
        _ table: Table<Model>,
        _ defaults: Model
    ) throws {
        let runs = Self.runs
        var random = SeededGenerator(seed: 0x594d4c)
        let good = Array(whole.utf8)
        let parts =
            [
                ": ", "- ", "\n", "\n  ", "? ", "[", "]", "{", "}", ", ", "&a ", "*a", "!!str ", "|\n ",
                ">\n ",
                "'", "\"",
                "\\", "#", "---\n", "...\n", "%YAML 1.1\n", "<<", "~", "1",
                "\t",
                "\u{feff}", "\r\n", "é", "@", "`", "\u{85}", "\u{2028}", "\\u0000", "9223372036854775808",
            ].map { Array($0.utf8) } + words.map { Array("\($0): ".utf8) }
        var accepted = 0
        for run in 0..<runs {
            var text: [UInt8] = []
            if run % 2 == 0 {
                for _ in 0..<Int.random(in: 1...24, using: &random) {
                    text += parts.randomElement(using: &random) ?? []
                }
            } else {
                text = good
                for _ in 0..<Int.random(in: 1...6, using: &random) {
                    let place = Int.random(in: 0..<text.count, using: &random)
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: text[place] = UInt8.random(in: 0...255, using: &random)
                    case 1: text.remove(at: place)
                    case 2: text.insert(contentsOf: parts.randomElement(using: &random) ?? [], at: place)
                    default: text.removeSubrange(place...)
                    }
                    if text.isEmpty { text = good }
                }
            }
            let problems = Problems()
            var effective = Effective(table, defaults: defaults)
            effective.read(file: "f", text, problems)
            accepted += problems.count == 0 ? 1 : 0
            let lines = problems.lines(file: "f")
            let isSaid = lines.allSatisfy { $0.hasPrefix("f:") && !$0.contains("\n") }
            try #require(isSaid, "run \(run): \(lines)")
        }
        // Otherwise the documents are too random to reach the decoder.
        #expect(accepted > runs / 100 && accepted < runs)
    }
}
