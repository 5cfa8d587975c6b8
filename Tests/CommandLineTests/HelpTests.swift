import TestSupport
import Testing

@Suite struct HelpTests {
    private static func help() async throws -> String {
        let result = try await Invocation("--help").run()
        #expect(result.exitCode == 0 && result.errors.isEmpty)
        return result.output
    }

    @Test func helpFitsAScreen() async throws {
        let lines = try await Self.help().split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(lines.count <= 34)
        for line in lines { #expect(line.count <= 80, "\(line)") }
    }

    @Test func helpIsTheSameHoweverItIsAskedFor() async throws {
        let help = try await Self.help()
        for arguments in [["-h"], ["help"], ["run", "--help"], ["--workers", "0", "--help"]] {
            let result = try await Invocation(arguments).run()
            #expect(result.output == help, "\(arguments): \(result.exitCode), \(result.errors)")
        }
    }

    /// The parser's own list knows all options there are.
    @Test func helpMentionsEveryOptionAndItsVariable() async throws {
        let help = try await Self.help()
        let generated = try await Invocation("healthcheck", "--help").run().output
        let options = Set(
            generated.split { !($0.isLetter || $0 == "-") }.filter { $0.hasPrefix("--") }.map(String.init)
        )
        #expect(
            options == Set((Setting.all.map(\.name) + Setting.ofTLS + ["version", "help"]).map { "--\($0)" })
        )
        for option in options { #expect(help.contains("  \(option)") || help.contains(", \(option)")) }
        #expect(help.contains("each also as SOCKS5D_... in the environment"))
        #expect(help.contains("SOCKS5D_LISTEN") && help.contains("SOCKS5D_USER"))
    }

    @Test func versionIsOneLine() async throws {
        let result = try await Invocation("--version").run()
        #expect(result.exitCode == 0 && result.errors.isEmpty)
        let words = result.output.split { " ()\n".contains($0) }
        #expect(words.count == 4 && words.first == "socks5d" && words.dropFirst(2).first == "libuv")
        for version in [words.dropFirst().first, words.last] {
            #expect(version?.split(separator: ".").compactMap { Int($0) }.count == 3)
        }
    }
}
