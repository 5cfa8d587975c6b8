import SOCKS5Protocol
import TestSupport
import Testing

/// `socks5d probe`: reports each step, and names the problem.
@Suite struct ProbeTests {
    private static func probe(_ target: String, via port: Int, _ more: String...) -> Invocation {
        Invocation(["probe", target, "--via", "127.0.0.1:\(port)", "--timeout", "5"] + more)
    }

    @Test func aWorkingConnectIsShownStepByStep() async throws {
        try await withSocks5d { _, port in
            let listener = try TestListener()
            defer { listener.close() }
            for host in ["127.0.0.1", "localhost"] {
                let result = try Self.probe("\(host):\(listener.port)", via: port).start().waitForEnd()
                #expect(result.exitCode == 0 && result.errors.isEmpty)
                let lines = result.output.split(separator: "\n")
                #expect(lines.count == 5)
                #expect(lines.first?.hasSuffix(" ms  connected to 127.0.0.1:\(port)") == true)
                #expect(
                    lines.dropFirst(2).first?.hasSuffix("CONNECT \(host):\(listener.port) is answered")
                        == true
                )
                #expect(lines.last == "it works")
            }
        }
    }

    @Test func bindIsTriedWithAConnectionFromHere() async throws {
        try await withSocks5d { _, port in
            for target in ["0.0.0.0:0", "127.0.0.1:0"] {
                let result = try Self.probe(target, via: port, "--bind").start().waitForEnd()
                #expect(result.exitCode == 0 && result.errors.isEmpty)
                #expect(result.output.hasSuffix("ms  bytes of the peer arrived\nit works\n"))
            }
        }
    }

    @Test func aDatagramIsSentAndItsEchoShown() async throws {
        try await withSocks5d { _, port in
            let echo = try TestDatagramSocket()
            defer { echo.close() }
            let probe = try Self.probe("127.0.0.1:\(echo.port)", via: port, "--udp").start()
            defer { probe.finish() }
            let question = try echo.receive()
            try echo.send(question.bytes, to: question.source)
            let result = try probe.waitForEnd()
            #expect(result.exitCode == 0 && result.errors.isEmpty)
            let end = "from 127.0.0.1:\(echo.port), \(question.bytes.count) bytes, the same\nit works\n"
            #expect(result.output.hasSuffix(end))
        }
    }

    @Test func aFailureNamesItsReply() async throws {
        try await withSocks5d(Invocation("--no-bind")) { _, port in
            for (target, more, complaint) in [
                (
                    "127.0.0.1:\(TestListener.unusedPort())", [],
                    "reply 5, connection refused: nothing listens on that port of the target"
                ),
                (
                    "no-such-name.invalid:80", [],
                    "reply 4, host unreachable: the proxy doesn't find the target's name, or can't reach its host"
                ),
                (
                    "127.0.0.1:0", ["--bind"],
                    "reply 7, command not supported: the proxy doesn't do that, or is told not to"
                ),
            ] {
                let arguments = ["probe", target, "--via", "127.0.0.1:\(port)"] + more
                let result = try Invocation(arguments).start().waitForEnd()
                #expect(result.exitCode == 1)
                #expect(result.errors.hasSuffix("via 127.0.0.1:\(port): \(complaint)\n"))
            }
        }
    }

    @Test func theLoginComesFromFlagOrEnvironment() async throws {
        try await withSocks5d(Invocation("--user", "alice:secret")) { _, port in
            let listener = try TestListener()
            defer { listener.close() }
            let target = "127.0.0.1:\(listener.port)"
            for right in [
                Self.probe(target, via: port, "--user", "alice:secret"),
                Self.probe(target, via: port).adding(
                    Invocation([], environment: ["SOCKS5D_USER": "alice:secret"])
                ),
            ] {
                let result = try right.start().waitForEnd()
                #expect(result.exitCode == 0, "\(result.errors)")
                #expect(result.output.contains("the login is answered"))
            }
            let wrong = try Self.probe(target, via: port, "--user", "alice:guess").start().waitForEnd()
            #expect(wrong.exitCode == 1 && wrong.errors.hasSuffix(": wrong user or password\n"))
            let none = try Self.probe(target, via: port).start().waitForEnd()
            #expect(none.errors.hasSuffix(": it requires a login; give --user NAME:PASSWORD\n"))
        }
    }

    @Test(arguments: [
        (["probe"], "the argument <target> is missing; expected HOST:PORT"),
        (["probe", "x"], "the target is 'x'"),
        (["probe", "::1:80"], "expected HOST:PORT"), (["probe", "a b:80"], "neither a name nor an address"),
        (["probe", "a:80", "--via", "b"], "--via is 'b'"),
        (["probe", "a:80", "--timeout", "0"], "1 to 3600"),
        (["probe", "a:80", "--udp", "--bind"], "one of them"), (["probe", "a:80", "--user", "b"], "--user"),
    ])
    func aMistakeIsNamed(_ arguments: [String], _ complaint: String) async throws {
        try await expectRefusal(of: Invocation(arguments), exitCode: 64, saying: complaint)
    }

    // MARK: - Servers that don't do what they should

    /// A test server's action after each number of received bytes.
    private enum Deed: Sendable {
        case receive(Int)
        case send([UInt8])
        case close, reset, wait
    }

    /// The one line of a probe that fails at a server with these actions.
    private static func complaint(_ deeds: [Deed], _ more: [String] = []) async throws -> String {
        let listener = try TestListener()
        defer { listener.close() }
        let port = listener.port
        let result = try await onThread {
            let command = ["probe", "192.0.2.1:80", "--via", "127.0.0.1:\(port)"]
            let probe = try Invocation(
                command + (more.contains("--timeout") ? more : more + ["--timeout", "5"])
            ).start()
            defer { probe.finish() }
            let socket = try listener.accept()
            defer { socket.close() }
            for deed in deeds {
                switch deed {
                case .receive(let count): _ = try socket.receive(count)
                case .send(let bytes): try socket.send(bytes)
                case .close: socket.endSending()
                case .reset: socket.reset()
                case .wait: break
                }
            }
            return try probe.waitForEnd()
        }
        #expect(result.exitCode == 1)
        let start = "socks5d: probe of 192.0.2.1:80 via 127.0.0.1:\(port): "
        #expect(result.errors.hasPrefix(start) && result.errors.hasSuffix("\n"))
        return String(result.errors.dropFirst(start.count).dropLast())
    }

    @Test(arguments: [
        ("HTTP/1.1 400 Bad SOCKSRequest\r\n\r\n", "an HTTP server"), ("<html>", "an HTTP server"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "an SSH server"), ("220 mail.example ESMTP\r\n", "a mail or FTP server"),
        ("\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}\u{46}", "a TLS server"),
        ("\u{0}\u{5b}\u{0}\u{0}", "a SOCKS4 server"),
        ("\u{4}\u{5b}", "a SOCKS4 server"),
    ])
    func anotherKindOfServerIsNamed(_ answer: String, _ kind: String) async throws {
        let complaint = try await Self.complaint([.receive(3), .send(Array(answer.utf8)), .close])
        #expect(complaint == "it is \(kind), not a SOCKS5 server; is the port right?")
    }

    @Test func anAnswerOfNoKindIsShownInPart() async throws {
        let complaint = try await Self.complaint([
            .receive(3), .send([0xde, 0xad, 0x0a] + Array("hello, world".utf8)), .close,
        ])
        #expect(
            complaint
                == "it is no SOCKS5 server, as its answer begins with de ad 0a 68 65 6c 6c 6f; is the port right?"
        )
    }

    @Test func anAbruptEndIsReportedWithTheLastRequest() async throws {
        let login = ["--user", "alice:secret"]
        let cases: [([Deed], [String], String)] = [
            (
                [.receive(3), .close], [],
                "it closed the connection without an answer; it doesn't take clients from here, is full, has TLS, or is no "
                    + "SOCKS5 server"
            ),
            (
                [.receive(3), .reset], [],
                "it reset the connection without an answer; it doesn't take clients from here, is full, has TLS, or is no "
                    + "SOCKS5 server"
            ),
            (
                [.receive(3), .send([5]), .close], [],
                "it closed the connection in the middle of its answer; is it a SOCKS5 server?"
            ),
            (
                [.receive(3), .wait], ["--timeout", "1"],
                "no answer within 1 s; it may be another kind of server, as of HTTP or TLS, or be too busy"
            ),
            (
                [.receive(4), .send([5, 2]), .receive(14), .close], login,
                "it closed the connection instead of answering the login; some servers do so where user or password "
                    + "is wrong"
            ),
            (
                [.receive(4), .send([5, 2]), .receive(14), .send([1, 1]), .close], login,
                "wrong user or password"
            ),
            (
                [.receive(3), .send([5, 0]), .receive(10), .close], [],
                "it closed the connection instead of answering the request; its log may say why"
            ),
            (
                [.receive(3), .send([5, 0]), .receive(10), .reset], [],
                "it reset the connection instead of answering the request; its log may say why"
            ),
            (
                [.receive(3), .send([5, 0]), .receive(10), .wait], ["--timeout", "1"],
                "no answer within 1 s to the request; it may still be connecting, so try a longer --timeout"
            ),
            (
                [.receive(3), .send([5, 0]), .receive(10), .send([4, 0])], [],
                "its answer breaks the rules of SOCKS5; is it a SOCKS5 server?"
            ),
            (
                [.receive(3), .send([5, 1])], [],
                "it selects method 01, which was not offered; is it a SOCKS5 server?"
            ),
            ([.receive(3), .send([5, 255]), .close], [], "it requires a login; give --user NAME:PASSWORD"),
            (
                [.receive(4), .send([5, 255]), .close], login,
                "it takes neither a login by user and password nor none"
            ),
        ]
        for (deeds, more, expected) in cases {
            let complaint = try await Self.complaint(deeds, more)
            #expect(complaint == expected)
        }
    }

    @Test(arguments: Array(1...10)) func everyReplyHasItsWords(_ code: Int) async throws {
        let beginnings = [
            "general failure: ", "not allowed: ", "network unreachable: ", "host unreachable: ",
            "connection refused: ", "timed out: ", "command not supported: ", "address type not supported: ",
            "which RFC 1928 doesn't have; ", "which RFC 1928 doesn't have; ",
        ]
        for rest in [[], [0, 1, 0, 0, 0, 0, 0, 0]] as [[UInt8]] {
            let deeds: [Deed] = [
                .receive(3), .send([5, 0]), .receive(10), .send([5, UInt8(code)] + rest), .close,
            ]
            let complaint = try await Self.complaint(deeds)
            #expect(complaint.hasPrefix("reply \(code), \(beginnings[code - 1])"), "\(complaint)")
        }
    }

    @Test func aMissingProxyIsReported() async throws {
        let port = TestListener.unusedPort()
        let result = try await Self.probe("127.0.0.1:80", via: port).run()
        #expect(
            result.errors == "socks5d: probe of 127.0.0.1:80 via 127.0.0.1:\(port): Connection refused; "
                + "is it running, and is the port right?\n"
        )
        let name = try await Invocation("probe", "127.0.0.1:80", "--via", "no-such-name.invalid:1080").run()
        #expect(name.errors.hasSuffix("; is the name right?\n") && name.exitCode == 1)
    }
}
