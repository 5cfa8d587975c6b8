import Testing

@testable import socks5d

/// A mistake in the command line is reported with the option or subcommand that was probably meant.
@Suite struct ParserTroubleTests {
    /// The program's message, without the hint where to read more.
    private static func answer(_ line: String) throws -> String {
        let arguments = line.split(separator: " ").map(String.init)
        let error = try #require(throws: (any Error).self) { _ = try Socks5d.parseAsRoot(arguments) }
        let message = Socks5d.message(for: error)
        return ParserTrouble(message, arguments).description
    }

    @Test(arguments: [
        ("--port 1080", "no option is called '--port'; did you mean '--listen ADDRESS:PORT'?"),
        ("-p 1080", "no option is called '-p'; did you mean '--listen ADDRESS:PORT'?"),
        ("check --bind x", "no option is called '--bind'; did you mean '--listen ADDRESS:PORT'?"),
        ("--password=hunter2", "no option is called '--password'; did you mean '--user NAME:PASSWORD'?"),
        ("--lisen x", "no option is called '--lisen'; did you mean '--listen'?"),
        ("--hlep", "no option is called '--hlep'; did you mean '--help'?"),
        ("-v", "no option is called '-v'; did you mean '--version'?"),
        ("--daemon", "no option is called '--daemon'"),
        ("probe --vai x y:1", "no option is called '--vai'; did you mean '--via'?"),
        ("probe --port 1 y:1", "no option is called '--port'"),
        // It takes few of the server's flags, and its own are far from this one.
        ("routes --parent x y:1", "no option is called '--parent'"),
    ])
    func anUnknownOptionIsReportedWithASuggestion(_ line: String, _ start: String) throws {
        let answer = try Self.answer(line)
        #expect(answer.hasPrefix("\(start); see 'socks5d "), "\(answer)")
    }

    @Test(arguments: [
        ("chek", "no subcommand is called 'chek'; did you mean 'check'?; see 'socks5d --help'"),
        ("serve", "no subcommand is called 'serve'; did you mean 'run'?; see 'socks5d --help'"),
        ("version", "no subcommand is called 'version'; did you mean '--version'?; see 'socks5d --help'"),
        (
            "127.0.0.1:1080",
            "no subcommand is called '127.0.0.1:1080'; did you mean '--listen 127.0.0.1:1080'?; see 'socks5d --help'"
        ),
        (
            "healthcheck [::1]:1080",
            "'[::1]:1080' is one argument too many; did you mean '--listen [::1]:1080'?; "
                + "see 'socks5d healthcheck --help'"
        ),
        ("config shwo", "config has no subcommand 'shwo'; did you mean 'show'?; see 'socks5d config --help'"),
        ("check a b", "'b' is one argument too many; see 'socks5d check --help'"),
        (
            "--workers -1",
            "--workers has no value; expected one behind it, or --workers=VALUE if it begins with '-'; "
                + "see 'socks5d --help'"
        ),
        ("--listen --open", "--listen has no value; expected one behind it; see 'socks5d --help'"),
        ("--open=1", "--open has a value; expected --open alone; see 'socks5d --help'"),
        (
            "probe",
            "the argument <target> is missing; expected HOST:PORT, as example.com:443; see 'socks5d probe --help'"
        ),
        ("kill first", "<ids> is 'first'; expected a whole number; see 'socks5d kill --help'"),
        ("sessions --limit x", "--limit is 'x'; expected a whole number; see 'socks5d sessions --help'"),
    ])
    func aMistakeIsReportedWithTheExpectedForm(_ line: String, _ answer: String) throws {
        #expect(try Self.answer(line) == answer)
    }

    @Test func theFlagsOfOtherServersLeadToSettings() {
        let flags = Settings.flags
        for name in ["port", "username", "cert", "upstream", "whitelist", "verbose", "timeout"] {
            #expect(
                ParserTrouble.foreign("--\(name)").map { flag in
                    flags.contains { flag.hasPrefix("--\($0) ") }
                } == true,
                "\(name)"
            )
        }
        #expect(
            Environment.slips([("SOCKS5D_PORT", "1")], ["SOCKS5D_LISTEN"]) == [
                "SOCKS5D_PORT is no variable of socks5d; did you mean SOCKS5D_LISTEN?"
            ]
        )
    }
}
