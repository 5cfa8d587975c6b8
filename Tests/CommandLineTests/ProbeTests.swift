import SOCKS5Protocol
import TestSupport
import Testing

/// `socks5d probe`: each step is said, and what is wrong is named.
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
                ("127.0.0.1:\(TestListener.unusedPort())", [], "reply 05, connection refused"),
                ("no-such-name.invalid:80", [], "reply 04, host unreachable"),
                ("127.0.0.1:0", ["--bind"], "reply 07, command not supported"),
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
            #expect(none.errors.hasSuffix(": it asks for a login; give --user NAME:PASSWORD\n"))
        }
    }

    @Test(arguments: [
        (["probe"], "Missing expected argument"), (["probe", "x"], "the target is 'x'"),
        (["probe", "::1:80"], "expected HOST:PORT"), (["probe", "a b:80"], "neither a name nor an address"),
        (["probe", "a:80", "--via", "b"], "--via is 'b'"),
        (["probe", "a:80", "--timeout", "0"], "1 to 3600"),
        (["probe", "a:80", "--udp", "--bind"], "one of them"), (["probe", "a:80", "--user", "b"], "--user"),
    ])
    func aMistakeIsNamed(_ arguments: [String], _ complaint: String) async throws {
        try await expectRefusal(of: Invocation(arguments), exitCode: 64, saying: complaint)
    }

    @Test func whatIsNoSOCKSServerIsSaid() async throws {
        let listener = try TestListener()
        defer { listener.close() }
        let result = try await onThread {
            let probe = try Self.probe("127.0.0.1:80", via: listener.port).start()
            defer { probe.finish() }
            let socket = try listener.accept()
            defer { socket.close() }
            _ = try socket.receive(3)
            try socket.send(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
            return try probe.waitForEnd()
        }
        #expect(result.exitCode == 1)
        #expect(result.errors.hasSuffix("it does not answer as a SOCKS5 server\n"))
    }
}
