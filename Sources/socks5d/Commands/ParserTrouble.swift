internal import ArgumentParser
internal import ProxyPolicy
internal import SOCKS5Server
internal import Text

/// Errors of the command line's parser, in the program's own words: the mistake, and what was probably meant.
struct ParserTrouble: CustomStringConvertible {
    let description: String

    /// - Parameters:
    ///   - message: the parser's message; an unknown one is passed on.
    ///   - arguments: all of them, without the program's name.
    init(_ message: String, _ arguments: [String]) {
        let command = arguments.first.flatMap { Self.commands.contains($0) ? $0 : nil }
        let quoted = message.split(separator: "'", omittingEmptySubsequences: false).map(String.init)
        let subject = quoted.count > 1 ? quoted[1] : ""
        let text: String
        if message.hasPrefix("Unknown option '") {
            let suggested = quoted.count > 3 && command != nil ? quoted[3] : nil
            text = Self.unknownOption(subject, isOfServer: Self.servers.contains(command ?? "run"), suggested)
        } else if message.hasPrefix("Unexpected argument '") {
            text = command == nil ? Self.unknownCommand(subject) : Self.strayArgument(subject, command)
        } else if message.hasPrefix("Missing value for '"), let flag = Self.flag(subject) {
            text = Self.missingValue(of: flag, arguments)
        } else if message.hasPrefix("Missing expected argument '") {
            text = "the argument \(subject) is missing; expected \(Self.expected(subject))"
        } else if message.hasPrefix("The value '"), quoted.count > 3 {
            let name = Self.flag(quoted[3]) ?? quoted[3]
            text = "\(name) is '\(subject.printable)'; expected a whole number"
        } else if message.hasPrefix("The option '"), message.contains("does not take any value") {
            text = "\(subject) has a value; expected \(subject) alone"
        } else {
            text = message
        }
        description = "\(text); see 'socks5d \(command.map { "\($0) " } ?? "")--help'"
    }

    private static let commands = Socks5d.configuration.subcommands.map { $0._commandName }
    /// The commands that take the settings of the server as flags.
    private static let servers: Set = ["run", "check", "config", "healthcheck"]

    /// The flags of other servers, each with its counterpart here.
    private static let options = [
        (
            ["--port", "-p", "--host", "--bind", "--address", "--addr", "-l", "-b", "-i"],
            "--listen ADDRESS:PORT"
        ),
        (["--username", "--password", "--auth", "--pass", "-u", "-P"], "--user NAME:PASSWORD"),
        (["--conf", "--file", "-c", "-f"], "--config FILE"),
        (["--cert", "--tls-cert", "--certificate"], "--tls-certificate FILE"),
        (["--key", "--private-key"], "--tls-key FILE"),
        (["--upstream", "--forward", "--proxy", "--chain", "-F"], "--parent URL"),
        (["--allow", "--whitelist", "--allow-ip", "-w"], "--clients LIST"),
        (["--verbose", "--debug", "--quiet", "-d", "-q"], "--log-level LEVEL"),
        (["--timeout", "-t"], "--idle-timeout TIME"),
        (["-v", "-V"], "--version"),
    ]

    private static let words = [
        "serve": "run", "start": "run", "server": "run", "validate": "check", "test": "check",
        "version": "--version", "passwd": "hash-password", "ps": "sessions", "list": "sessions",
    ]

    /// The counterpart of a flag of other servers.
    static func foreign(_ option: String) -> String? { options.first { $0.0.contains(option) }?.1 }

    /// The name of the setting with the meaning of another server's, both without dashes.
    static func setting(for name: String) -> String? {
        foreign("--\(name)").flatMap { $0.split { $0 == "-" || $0 == " " }.first }.map(String.init)
    }

    private static func suggestion(_ word: String?) -> String {
        word.map { "; did you mean '\($0)'?" } ?? ""
    }

    private static func unknownOption(_ option: String, isOfServer: Bool, _ suggested: String?) -> String {
        let known = (Settings.flags + ["help", "version", "take-over"]).map { "--\($0)" }
        // The parser's own suggestion may be far away.
        let meant =
            isOfServer
            ? foreign(option) ?? known.nearest(to: option) : suggested.flatMap { [$0].nearest(to: option) }
        return "no option is called '\(option.printable)'\(suggestion(meant))"
    }

    private static func unknownCommand(_ word: String) -> String {
        let meant = words[word] ?? commands.nearest(to: word) ?? address(word)
        return "no subcommand is called \(word.quoted)\(suggestion(meant))"
    }

    private static func strayArgument(_ word: String, _ command: String?) -> String {
        let inner = Socks5d.configuration.subcommands.first { $0._commandName == command }?.configuration
            .subcommands
        if let inner, !inner.isEmpty {
            let meant = inner.map { $0._commandName }.nearest(to: word)
            return "\(command ?? "") has no subcommand \(word.quoted)\(suggestion(meant))"
        }
        let meant = servers.contains(command ?? "") ? address(word) : nil
        return "\(word.quoted) is one argument too many\(suggestion(meant))"
    }

    /// The flag that an address was probably meant for.
    private static func address(_ word: String) -> String? {
        (try? ListenAddress(parsing: word)).map { "--listen \($0)" }
    }

    /// The flag in a name such as `--listen <listen>`; `nil` if it isn't a flag.
    private static func flag(_ name: String) -> String? {
        name.hasPrefix("-") ? String(name.prefix { $0 != " " }) : nil
    }

    private static func missingValue(of flag: String, _ arguments: [String]) -> String {
        // The parser takes an argument that begins with a dash for the next option.
        let next = arguments.firstIndex(of: flag).map { arguments.dropFirst($0 + 1) }?.first ?? ""
        let isDashed = next.hasPrefix("-") && !Settings.flags.contains(String(next.dropFirst(2)))
        return "\(flag) has no value; expected one behind it"
            + (isDashed ? ", or \(flag)=VALUE if it begins with '-'" : "")
    }

    private static func expected(_ argument: String) -> String {
        switch argument {
        case "<target>": "HOST:PORT, as example.com:443"
        case "<ids> ...": "the numbers of sessions, as 'socks5d sessions' shows them"
        default: "it"
        }
    }
}
