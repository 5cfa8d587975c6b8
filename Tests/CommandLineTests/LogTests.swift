import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// The contents of the log, and what never appears in it.
@Suite struct LogTests {
    /// A password that occurs in no port, time or count.
    private static let password = "hunter2-" + String(repeating: "p", count: 89)
    private static let wrong = "trustno1-" + String(repeating: "q", count: 188)

    @Test(arguments: ["--user", "--user=", "SOCKS5D_USER", "file"])
    func aPasswordIsNowhereToBeSeen(_ origin: String) async throws {
        try await withFile(Array("alice:{plain}\(Self.password)".utf8)) { path in
            let user = "alice:\(Self.password)"
            let given =
                switch origin {
                case "--user": Invocation("--user", user)
                case "--user=": Invocation("--user=\(user)")
                case "file": Invocation("--user-file", path)
                default: Invocation([], environment: [origin: user])
                }
            try await withSocks5d(given.adding(Invocation("--log-level", "trace"))) { child, port in
                for file in ["cmdline", "environ"] {
                    let text = try readFile("/proc/\(child.pid)/\(file)")
                    #expect(!text.contains("hunter2") && !text.contains("ppp"), "\(file)")
                }
                try expectLogin("alice", Self.password, at: port)
                try expectLogin("alice", Self.wrong, isAccepted: false, at: port)
                _ = try child.waitForLine(containing: "login refused")
                _ = try child.waitForLine(containing: "user=alice")
                let result = try child.stop()
                #expect(result.output.isEmpty)
                for secret in ["hunter2", "trustno1", "pppp", "qqqq"] {
                    #expect(!result.errors.contains(secret))
                }
                for line in result.errors.split(separator: "\n") {
                    let numbers = Self.telling(line)
                    #expect(!numbers.contains(Self.password.utf8.count), "\(line)")
                    #expect(!numbers.contains(Self.wrong.utf8.count), "\(line)")
                }
            }
        }
    }

    /// The numbers of a log line, without its time and fields that may be any number.
    private static func telling(_ line: Substring) -> [Int] {
        let words = line.split(separator: " ").filter { word in
            !["20", "client=", "milliseconds=", "sessions=", "127.0.0.1"].contains { word.hasPrefix($0) }
        }
        return words.flatMap { $0.split { !$0.isNumber } }.compactMap { Int($0) }
    }

    /// The arguments keep their number and length, so that ps(1) still shows which program this is.
    @Test func onlyThePasswordIsHiddenAmongTheArguments() async throws {
        try await withSocks5d(Invocation("--user", "alice:secret", "--workers", "1")) { child, _ in
            let text = try readFile("/proc/\(child.pid)/cmdline")
            #expect(text.split(separator: "\0").dropFirst(3) == ["--user", "************", "--workers", "1"])
        }
    }

    @Test func aNameFromTheWireCanNotForgeALine() async throws {
        let quick = Invocation("--log-level", "info", "--dial-timeout", "300ms")
        try await withSocks5d(quick) { child, port in
            for name in ["a\nsocks5d: forged\r\u{1b}[2J outcome=completed", "forged\n", "a\u{0}forged"] {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                try socket.greet()
                try socket.send([5, 1, 0, 3, UInt8(name.utf8.count)] + Array(name.utf8) + [0, 80])
                let reply = try socket.receive(2)
                #expect(reply == [5, 4])
            }
            let result = try child.stop()
            let ended = result.errors.split(separator: "\n").filter { $0.contains("session ended") }
            #expect(ended.count == 3)
            #expect(ended.allSatisfy { $0.hasPrefix("20") && $0.hasSuffix("outcome=\"refused, reply 4\"") })
            for trace in ["\r", "\u{1b}", "\nforged", "\nsocks5d: forged"] {
                #expect(!result.errors.contains(trace))
            }
            // The line that stands for all lines of this second has the name.
            let refusals = result.errors.split(separator: "\n").filter { $0.contains("forged") }
            #expect(refusals.allSatisfy { $0.contains(" notice not a destination client=127.0.0.1:") })
            #expect(
                refusals.contains {
                    $0.contains(#"reason="name a\nsocks5d: forged\r\u{1B}[2J outcome=completed""#)
                }
            )
        }
    }

    @Test func aUserNameCanNotForgeALine() async throws {
        let forger = Invocation("--user", "a\nforged:secret", "--log-level", "info")
        try await withSocks5d(forger) { child, port in
            try expectLogin("a\nforged", "secret", at: port)
            let line = try child.waitForLine(containing: "session ended")
            #expect(line.contains("user=a\\nforged"))
        }
    }

    @Test func everyLineHasTimeLevelAndMessage() async throws {
        try await withSocks5d(Invocation("--log-level", "info")) { child, port in
            try expectRelaying(through: port)
            let line = try child.waitForLine(containing: "session ended")
            let words = line.split(separator: " ")
            let time = words[0].map { $0.isNumber ? "0" : String($0) }.joined()
            #expect(time == "0000-00-00T00:00:00.000Z")
            #expect(words[1] == "info")
            for key in ["client", "command", "destination", "milliseconds", "outcome", "received", "sent"] {
                #expect(words.contains { $0.hasPrefix("\(key)=") })
            }
        }
    }

    @Test func anUnreadLogEndsNothing() async throws {
        try await withSocks5d(Invocation("--log-level", "info")) { child, port in
            child.closeOutput()
            for _ in 0..<20 { try expectRelaying(through: port) }
            let before = child.processorMilliseconds
            sleep(1)
            let spent = child.processorMilliseconds - before
            #expect(spent < 200)
            child.signal(SIGTERM)
            let code = try child.waitForExit()
            #expect(code == 0)
        }
    }

    @Test func aFullDiskEndsNothing() async throws {
        try await onThread {
            let port = TestListener.unusedPort()
            let run = "exec \"$0\" --listen 127.0.0.1:\(port) --log-level info 2>/dev/full"
            let child = try ChildProcess(["sh", "-c", run, ChildProcess.socks5d])
            defer { child.finish() }
            try eventually("it serves") { (try? expectRelaying(through: port)) != nil }
            for _ in 0..<20 { try expectRelaying(through: port) }
            child.signal(SIGTERM)
            let code = try child.waitForExit()
            #expect(code == 0)
        }
    }

    @Test func anUnreadLogLosesLinesButDoesNotStopTheService() async throws {
        try await withSocks5d(LongLines.invocation) { child, port in
            try child.shrinkErrors()
            try LongLines.overflow(port)
            _ = try child.waitForLine(containing: "session ended")
            try expectLogin(LongLines.name, "secret", at: port)
            _ = try child.waitForLine(containing: "lines before this one were lost)")
        }
    }

    @Test(arguments: [false, true]) func anUnreadTerminalStopsNothing(_ isStopped: Bool) async throws {
        try await onThread {
            let terminal = try TestTerminal()
            defer { terminal.close() }
            let port = TestListener.unusedPort()
            let child = try Self.start(LongLines.invocation.arguments, at: port, on: terminal)
            defer { child.finish() }
            try eventually("it serves") { (try? expectLogin(LongLines.name, "secret", at: port)) != nil }
            if isStopped { terminal.stop() }
            try LongLines.overflow(port)
            let before = child.processorMilliseconds
            sleep(1)
            let spent = child.processorMilliseconds - before
            #expect(spent < 200)
            try expectLogin(LongLines.name, "secret", at: port)
            terminal.resume()
            let text = try terminal.read(until: "lines before this one were lost)")
            #expect(!text.contains("(0 lines"))
            terminal.stop()
            try LongLines.overflow(port)
            child.signal(SIGTERM)
            let code = try child.waitForExit(within: deadlineSeconds / 4)
            #expect(code == 0)
        }
    }

    @Test func anUnreadFatalErrorStillEndsTheProgram() async throws {
        try await onThread {
            let terminal = try TestTerminal()
            defer { terminal.close() }
            terminal.stop()
            let listener = try TestListener()
            defer { listener.close() }
            for (arguments, code) in [([], Int32(1)), (["--workers", "0"], 64)] {
                let child = try Self.start(arguments, at: listener.port, on: terminal)
                defer { child.finish() }
                let exitCode = try child.waitForExit(within: deadlineSeconds / 4)
                #expect(exitCode == code)
            }
        }
    }

    /// The program with a terminal as its standard error.
    private static func start(
        _ arguments: [String],
        at port: Int,
        on terminal: TestTerminal
    ) throws -> ChildProcess {
        let run = "terminal=$1; shift; exec \"$0\" \"$@\" 2>\"$terminal\""
        let all = [ChildProcess.socks5d, terminal.path, "--listen", "127.0.0.1:\(port)"] + arguments
        return try ChildProcess(["sh", "-c", run] + all)
    }

    @Test func linesBeforeTheEndAreWrittenInTheirOrder() async throws {
        try await withSocks5d(Invocation("--log-level", "info")) { child, port in
            var ports: [Int] = []
            for _ in 0..<300 {
                let socket = try TestSocket(connectingTo: port)
                ports.append(socket.localPort)
                try socket.send([4])
                try socket.waitForClose()
                socket.close()
            }
            let result = try child.stop()
            let lines = result.errors.split(separator: "\n")
            let ended = lines.filter { $0.contains(" info session ended ") }
            #expect(ended.count == ports.count)
            for port in ports { #expect(ended.contains { $0.contains("client=127.0.0.1:\(port) ") }) }
            let times = lines.compactMap { $0.hasPrefix("20") ? $0.prefix(24) : nil }
            #expect(times.count > 300)
            // The last client learns about the close shortly before its session has ended.
            #expect(lines.suffix(2).contains { $0.contains(" notice stopping ") })
        }
    }
}

/// Sessions whose log lines have a kilobyte each.
private enum LongLines {
    static let name = String(repeating: "\u{1}", count: 255)
    static let invocation = Invocation("--log-level", "info", "--user", "\(name):secret")

    /// More lines than the program keeps for a reader that is slow.
    static func overflow(_ port: Int) throws {
        for _ in 0..<1500 { try expectLogin(name, "secret", at: port) }
    }
}
