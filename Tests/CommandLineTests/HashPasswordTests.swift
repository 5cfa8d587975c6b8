import SOCKS5Protocol
import TestSupport
import Testing

/// `socks5d hash-password`, and logging in with what it has made.
@Suite struct HashPasswordTests {
    /// Standard input has `input`, and is no terminal.
    private static func hash(_ input: String, _ arguments: String...) async throws -> ChildProcess.Result {
        let script = "printf '%s' \"$1\" | \"$0\" hash-password \(arguments.joined(separator: " "))"
        return try await onThread {
            try ChildProcess(["sh", "-c", script, ChildProcess.socks5d, input]).waitForEnd()
        }
    }

    @Test(arguments: [
        (["--method", "yescrypt", "--cost", "1"], "$y$j75$"),
        (["--method", "bcrypt", "--cost", "4"], "$2b$04$"),
        (["--method=sha512", "--cost=1000"], "$6$rounds=1000$"), ([], "$y$j9T$"),
    ])
    func aUserCanLogInWithANewHash(_ arguments: [String], _ prefix: String) async throws {
        let password = "sécret: \"x\" "
        let made = try await Self.hash("\(password)\n", arguments.joined(separator: " "))
        #expect(made.exitCode == 0 && made.errors.isEmpty)
        #expect(made.output.hasPrefix(prefix) && made.output.hasSuffix("\n"))
        try await withFile(Array("# users\nalice:\(made.output)bob:{plain}b\n".utf8)) { path in
            let invocation = Invocation("--user-file", path, "--log-level", "trace")
            try await withSocks5d(invocation) { child, port in
                try expectLogin("alice", password, at: port)
                try expectLogin("alice", password, at: port)
                for (name, wrong) in [
                    ("alice", "hunter2"), ("alice", ""), ("nobody", password), ("bob", password),
                ] {
                    try expectLogin(name, wrong, isAccepted: false, at: port)
                }
                try expectLogin("bob", "b", at: port)
                let result = try child.stop()
                for secret in ["cret:", "hunter2", String(made.output.suffix(20).dropLast())] {
                    #expect(!result.errors.contains(secret))
                }
            }
        }
    }

    @Test(arguments: ["", "\n", "a\nb", "a\nb\n", "a\n\n", String(repeating: "x", count: 256)])
    func invalidPasswordsAreRefused(_ input: String) async throws {
        let result = try await Self.hash(input, "--cost 1")
        #expect(result.exitCode == 1 && result.output.isEmpty)
        #expect(result.errors.hasPrefix("socks5d: ") && result.errors.utf8.count < 200)
    }

    @Test func badOptionsAreShownWithTheExpectedOnes() async throws {
        for (arguments, message) in [
            ("--method md5", "--method is 'md5'; expected yescrypt, bcrypt, sha512"),
            ("--cost 12", "--cost is '12'; expected 1 to 9 for yescrypt"),
            ("--method bcrypt --cost x", "--cost is 'x'; expected 4 to 16 for bcrypt"),
            ("hunter2", "see 'socks5d"),
        ] {
            let result = try await Self.hash("secret", arguments)
            #expect(result.exitCode == 64 && result.output.isEmpty)
            #expect(result.errors.contains(message), "\(result.errors)")
            #expect(!result.errors.contains("hunter2"))
        }
    }

    /// bcrypt with cost 8 takes about 20 ms, and clients leave earlier, by an end or by a reset.
    @Test func clientsThatLeaveWhileTheirHashIsComputedLeaveNothing() async throws {
        let made = try await Self.hash("secret", "--method bcrypt --cost 8")
        try await withFile(Array("alice:\(made.output)".utf8)) { path in
            try await withSocks5d(Invocation("--user-file", path, "--workers", "1")) { child, port in
                try expectLogin("alice", "secret", at: port)
                try eventually("the hash thread ends") { !child.threadNames.contains("socks5d-hash") }
                let base = child.descriptorCount
                for number in 0..<100 {
                    let socket = try TestSocket(connectingTo: port)
                    try socket.send(Greeting(methods: [.usernamePassword]))
                    _ = try socket.receive(MethodSelection.self)
                    try socket.send(Credentials(username: "alice", password: "wrong\(number)"))
                    if number % 2 == 0 { socket.close() } else { socket.reset() }
                }
                try eventually("descriptors and threads are back to base") {
                    child.descriptorCount <= base && !child.threadNames.contains("socks5d-hash")
                }
                try expectLogin("alice", "secret", at: port)
                let result = try child.stop()
                #expect(result.exitCode == 0)
            }
        }
    }

    /// A terminal of its own, through python's pty: it shows the prompts and not what is typed.
    @Test func onATerminalItAsksTwiceAndShowsNothing() async throws {
        let script = """
            import os, pty, sys
            def session(first, second):
                pid, terminal = pty.fork()
                if pid == 0:
                    os.execv(sys.argv[1], [sys.argv[1], "hash-password", "--method", "bcrypt", "--cost", "4"])
                shown = b""
                def wait_for(text):
                    nonlocal shown
                    while text not in shown:
                        shown += os.read(terminal, 1000)
                wait_for(b"Password: ")
                os.write(terminal, first)
                if second is not None:
                    wait_for(b"Again: ")
                    os.write(terminal, second)
                try:
                    while True:
                        more = os.read(terminal, 1000)
                        if not more: break
                        shown += more
                except OSError:
                    pass
                print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown)
            session(b"hunter2\\n", b"hunter2\\n")
            session(b"hunter2\\n", b"hunter3\\n")
            session(b"hunter2\\x03", None)
            """
        let result = try await onThread {
            try ChildProcess(["python3", "-c", script, ChildProcess.socks5d]).waitForEnd()
        }
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 3, "\(result.errors)")
        #expect(!result.output.contains("hunter"))
        #expect(lines.first?.hasPrefix("0 ") == true && lines.first?.contains("$2b$04$") == true)
        #expect(lines.dropFirst().first?.hasPrefix("1 ") == true)
        #expect(lines.dropFirst().first?.contains("the two passwords differ") == true)
        // ^C is SIGINT, and the terminal's echo is on again for the shell: 128 + 2.
        #expect(lines.last?.hasPrefix("130 ") == true && lines.last?.contains("interrupted") == true)
    }
}
