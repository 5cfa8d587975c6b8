internal import ArgumentParser
internal import Glibc
internal import ProxyPolicy
internal import SOCKS5Server

/// The program: carries out its arguments, or prints one line about the error in them.
@main
struct Socks5d: ParsableCommand {
    static let version = "1.0.0"

    static let configuration = CommandConfiguration(
        commandName: "socks5d",
        abstract: "A SOCKS5 proxy server.",
        version: "socks5d \(version) (libuv \(ProxyServer.libuvVersion))",
        subcommands: [
            Run.self, Check.self, ConfigurationCommand.self, Routes.self, HashPassword.self, Healthcheck.self,
            Probe.self,
            StatusCommand.self, SessionsCommand.self, KillCommand.self, DrainCommand.self, TopCommand.self,
        ],
        defaultSubcommand: Run.self
    )

    static func main() {
        Signals.block()
        Startup.openStandardDescriptors()
        Startup.needAddresses()
        Startup.endAtCrash()
        Startup.limitArenas()
        let arguments = Array(CommandLine.arguments.dropFirst())
        Secrets.overwriteArguments()
        do {
            if let text = try Help.asked(for: arguments) ?? BuildInfo.asked(for: arguments) {
                Signals.release()
                StandardOutput.write(text)
            } else {
                try perform(try parseAsRoot(arguments))
            }
            finish(0)
        } catch let failure as Failure {
            fail(failure)
        } catch {
            finish(withParserError: error, arguments)
        }
    }

    private static func perform(_ command: any ParsableCommand) throws {
        if let run = command as? Run { try run.serve() }
        // The terminal's echo must be on again before a signal ends the program.
        if let command = command as? HashPassword { return try command.hash() }
        if let command = command as? TopCommand { return try command.watch() }
        Signals.release()
        switch command {
        case let check as Check: try check.check()
        case let command as ShowSettings: try command.show()
        case let command as ShowSchema: command.show()
        case let command as ShowTable: command.show()
        case let routes as Routes: finish(try routes.show())
        case let check as Healthcheck: try check.check()
        case let probe as Probe: try probe.check()
        case let command as StatusCommand: try command.show()
        case let command as SessionsCommand: try command.show()
        case let command as KillCommand: try command.kill()
        case let command as DrainCommand: try command.drain()
        case var other: try other.run()
        }
    }

    static func fail(_ failure: Failure) -> Never {
        for message in failure.messages { Messages.write("socks5d: \(message)") }
        finish(failure.exitCode)
    }

    /// One line alone: the parser's usage block would bury it.
    private static func finish(withParserError error: any Error, _ arguments: [String]) -> Never {
        guard exitCode(for: error) == .success else {
            let message = message(for: error).split(separator: "\n").joined(separator: " ")
            fail(.usage("\(ParserTrouble(message, arguments))"))
        }
        StandardOutput.write(fullMessage(for: error))
        finish(0)
    }

    /// Ends the process without libuv's destructor, which would wait for a hanging name lookup.
    static func finish(_ code: Int32) -> Never {
        Messages.flush()
        _exit(code)
    }
}

/// An error that ends the program: a line for each problem, and an exit code of sysexits(3).
struct Failure: Error {
    let messages: [String]
    let exitCode: Int32

    static func usage(_ message: String) -> Failure { Failure(message: message, exitCode: 64) }
    static func configuration(_ message: String) -> Failure { Failure(message: message, exitCode: 78) }
    static func configuration(_ messages: [String]) -> Failure {
        Failure(messages: messages, exitCode: 78)
    }
    static func runtime(_ message: String) -> Failure { Failure(message: message, exitCode: 1) }

    init(messages: [String], exitCode: Int32) {
        self.messages = messages
        self.exitCode = exitCode
    }

    init(message: String, exitCode: Int32) {
        self.init(messages: [message], exitCode: exitCode)
    }

    init(_ error: ProxyServerError) {
        switch error.code {
        case .openToNetwork:
            self = .configuration(
                "\(error.description) (--user NAME:PASSWORD or SOCKS5D_USER; --clients LIST; --open or SOCKS5D_OPEN=1)"
            )
        case .invalidConfiguration:
            self = .configuration(error.description)
        default:
            self = .runtime(error.description)
        }
    }
}

/// Collects the failures of independent parts, so that one report names them all.
struct Failures {
    private var failures: [Failure] = []

    /// - Returns: what `make` returns; `nil` if it throws a ``Failure``, which is collected.
    mutating func collect<Part>(_ make: () throws -> Part) throws -> Part? {
        do {
            return try make()
        } catch let failure as Failure {
            failures.append(failure)
            return nil
        }
    }

    /// - Parameter problems: one line each.
    mutating func add(_ problems: [String]) {
        if !problems.isEmpty { failures.append(.configuration(problems)) }
    }

    /// Throws all of them as one; a wrong flag decides the exit code.
    func throwIfAny() throws {
        guard let exitCode = failures.map(\.exitCode).min() else { return }
        throw Failure(messages: failures.flatMap(\.messages), exitCode: exitCode)
    }
}
