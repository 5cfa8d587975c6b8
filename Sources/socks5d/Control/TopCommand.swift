internal import ArgumentParser
internal import CProcess
internal import Glibc
internal import Text

/// `socks5d top`: shows the busiest sessions of a running server, once per second.
struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Watch a running server: its traffic and its sessions, once a second.",
        discussion: "Keys: q quits, s sorts by something else, u shows one user's sessions, k ends a session."
    )

    @OptionGroup var options: AdminOptions

    private static let interval = 1000

    func watch() throws {
        let client = try options.client()
        guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 else {
            throw Failure.usage(
                "top needs a terminal; use 'socks5d sessions' or 'socks5d status' without one"
            )
        }
        // So that an error is reported on the normal screen, which stays.
        _ = try client.ask("GET", "/sessions", [("limit", "0")])
        let screen = try Screen()
        defer { screen.leave() }
        var view = TopView()
        while true {
            let (status, sessions) = Self.load(client, &view)
            var isFresh = true
            let next = Self.milliseconds() + Self.interval
            while isFresh {
                screen.show(view.lines(status, sessions, width: screen.width, height: screen.height))
                switch try Self.key(until: next).map({ view.press($0) }) {
                case nil, .refresh?: isFresh = false
                case .quit?: return
                case .nothing?, .draw?: break
                case .end(let id)?:
                    view.message = Self.end(id, client)
                    isFresh = false
                }
            }
        }
    }

    private static func load(_ client: AdminClient, _ view: inout TopView) -> (JSONValue?, JSONValue?) {
        do {
            let second = Int(time(nil)) - 3
            let status = try client.ask("GET", "/status.json", [("since", "\(second)")])
            let sessions = try client.ask(
                "GET",
                "/sessions",
                [("sort", view.sort), ("user", view.user), ("limit", "200")]
            )
            if view.message.hasPrefix(noAnswer) { view.message = "" }
            return (status, sessions)
        } catch let failure as Failure {
            view.message = noAnswer + failure.messages.joined(separator: "; ")
        } catch {
            view.message = noAnswer + "\(error)"
        }
        return (nil, nil)
    }

    private static let noAnswer = "no answer: "

    private static func end(_ id: UInt64, _ client: AdminClient) -> String {
        do {
            _ = try client.ask("DELETE", "/sessions/\(id)")
            return "session \(id) is ended"
        } catch let failure as Failure {
            return failure.messages.joined(separator: "; ")
        } catch {
            return "\(error)"
        }
    }

    /// - Returns: `nil` when the time is over.
    private static func key(until time: Int) throws -> UInt8? {
        while true {
            // Signals are blocked, and must not end the program before the terminal is restored.
            if let signal = Signals.pending() { throw Failure(messages: [], exitCode: 128 + signal) }
            let left = time - milliseconds()
            guard left > 0 else { return nil }
            var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            guard poll(&input, 1, Int32(min(left, 100))) > 0 else { continue }
            var byte: UInt8 = 0
            guard read(STDIN_FILENO, &byte, 1) == 1 else { throw Failure(messages: [], exitCode: 0) }
            return byte
        }
    }

    private static func milliseconds() -> Int {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return now.tv_sec * 1000 + now.tv_nsec / 1_000_000
    }
}

/// The terminal in full-screen mode, until it is restored.
private final class Screen {
    private var settings = termios()

    init() throws {
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else {
            throw Failure.runtime("the terminal: \(String(cString: strerror(errno)))")
        }
        var raw = settings
        raw.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
        withUnsafeMutableBytes(of: &raw.c_cc) { keys in
            keys[Int(VMIN)] = 1
            keys[Int(VTIME)] = 0
        }
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw)
        // The alternate screen, without a cursor.
        Self.write("\u{1b}[?1049h\u{1b}[?25l")
    }

    func leave() {
        Self.write("\u{1b}[?25h\u{1b}[?1049l")
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
    }

    var width: Int { size.columns }
    var height: Int { size.rows }

    private var size: (rows: Int, columns: Int) {
        var (rows, columns) = (UInt16(0), UInt16(0))
        let isKnown = process_terminal_size(STDOUT_FILENO, &rows, &columns) == 0 && rows > 0 && columns > 0
        return isKnown ? (Int(rows), Int(columns)) : (24, 80)
    }

    /// In one write, so that the screen doesn't flicker.
    func show(_ lines: [String]) {
        let text = lines.map { "\($0)\u{1b}[K" }.joined(separator: "\r\n")
        Self.write("\u{1b}[H\(text)\u{1b}[J")
    }

    private static func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
