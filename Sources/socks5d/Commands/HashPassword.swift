internal import ArgumentParser
internal import Glibc
internal import ProxyPolicy
internal import SOCKS5Server
internal import Text

/// `socks5d hash-password`: prints the part after the colon in a user file.
///
/// The password is never an argument, because others could see it in the list of processes.
struct HashPassword: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Hash a password for a user file. Asks for it on a terminal, else reads it from standard input."
    )

    @Option(help: "yescrypt (the default), bcrypt or sha512.")
    var method: String?
    @Option(help: "The CPU time cost, as crypt(5) counts it.")
    var cost: String?

    /// An argument that was probably meant to be the password. It is accepted so that no message shows it.
    @Argument(help: .hidden)
    var unexpected: [String] = []

    func hash() throws {
        guard unexpected.isEmpty else {
            throw Failure.usage(
                "don't give the password as an argument, where others could see it: type it when asked, or "
                    + "pipe it in; see 'socks5d hash-password --help'"
            )
        }
        let method = try parsedMethod()
        let cost = try parsedCost(method)
        let password = try isatty(STDIN_FILENO) == 1 ? Terminal.askTwice() : Self.readLine()
        do {
            StandardOutput.write(try PasswordHash(hashing: password, method: method, cost: cost).text)
        } catch {
            throw Failure.runtime(error.description)
        }
    }

    private func parsedMethod() throws -> PasswordHash.Method {
        guard let method else { return .yescrypt }
        guard let known = PasswordHash.Method(rawValue: method) else {
            let names = PasswordHash.Method.allCases.map(\.rawValue).joined(separator: ", ")
            throw Failure.usage("--method is '\(method.printable)'; expected \(names)")
        }
        return known
    }

    private func parsedCost(_ method: PasswordHash.Method) throws -> Int? {
        guard let cost else { return nil }
        let range = method.costs
        guard let number = Int(cost), range.contains(number) else {
            throw Failure.usage(
                "--cost is '\(cost.printable)'; expected \(range.lowerBound) to \(range.upperBound) "
                    + "for \(method)"
            )
        }
        return number
    }

    /// All of standard input, without the end of its only line.
    private static func readLine() throws -> [UInt8] {
        Signals.release()
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1024)
        while bytes.count < chunk.count {
            let count = read(STDIN_FILENO, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        guard !bytes.contains(UInt8(ascii: "\n")) else {
            throw Failure.runtime("more than a line on standard input; expected the password alone")
        }
        return bytes
    }
}

/// Asks on the terminal, without echoing the input.
private enum Terminal {
    static func askTwice() throws -> [UInt8] {
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else {
            throw Failure.runtime("the terminal: \(String(cString: strerror(errno)))")
        }
        var silent = settings
        silent.c_lflag &= ~tcflag_t(ECHO)
        // Drops input that was typed, and echoed, before.
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        defer { tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings) }
        let password = try ask("Password: ")
        guard try ask("Again: ") == password else { throw Failure.runtime("the two passwords differ") }
        return password
    }

    private static func ask(_ prompt: String) throws -> [UInt8] {
        write(STDERR_FILENO, prompt, prompt.utf8.count)
        defer { write(STDERR_FILENO, "\n", 1) }
        var line: [UInt8] = []
        while line.last != UInt8(ascii: "\n") {
            try waitForInput()
            var chunk = [UInt8](repeating: 0, count: 1024)
            let count = read(STDIN_FILENO, &chunk, chunk.count)
            guard count > 0 else { throw Failure.runtime("no password") }
            line += chunk[..<count]
        }
        return line.dropLast()
    }

    /// Signals are blocked in this program. One of them must end it, but only after the terminal's echo is on again.
    private static func waitForInput() throws {
        while true {
            var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            if poll(&input, 1, 100) > 0 { return }
            if let signal = Signals.pending() {
                throw Failure(message: "interrupted", exitCode: 128 + signal)
            }
        }
    }
}
