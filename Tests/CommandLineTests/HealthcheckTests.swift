import SOCKS5Protocol
import TestSupport
import Testing

@Suite struct HealthcheckTests {
    private static func check(_ port: Int, host: String = "127.0.0.1") -> Invocation {
        Invocation("healthcheck", "--listen", "\(host):\(port)")
    }

    @Test func aServerThatServesIsFine() async throws {
        try await withSocks5d { _, port in
            for check in [
                Self.check(port), Self.check(port, host: "0.0.0.0"),
                Invocation(["healthcheck"], environment: ["SOCKS5D_LISTEN": "127.0.0.1:\(port)"]),
            ] {
                let result = try check.start().waitForEnd()
                #expect(result.exitCode == 0)
                #expect(result.output == "127.0.0.1:\(port) answers\n")
                #expect(result.errors.isEmpty)
            }
        }
    }

    /// As in a container whose check comes from inside.
    @Test func aServerOfOtherClientsIsFine() async throws {
        try await withSocks5d(Invocation("--clients", "192.0.2.0/24")) { _, port in
            let check = Self.check(port).adding(Invocation("--clients", "192.0.2.0/24"))
            let result = try check.start().waitForEnd()
            #expect(result.exitCode == 0 && result.errors.isEmpty)
            #expect(
                result.output
                    == "127.0.0.1:\(port) closes connections from here, since 'clients' doesn't have this machine\n"
            )
            // With another server's settings, a closed connection doesn't count as served.
            let other = try Self.check(port).start().waitForEnd()
            #expect(other.exitCode == 1)
        }
    }

    @Test func aServerWithUsersIsFineWithoutALoginAndWritesNothingAboutIt() async throws {
        try await withSocks5d(Invocation("--user", "alice:secret", "--log-level", "info")) { child, port in
            let result = try Self.check(port).start().waitForEnd()
            #expect(result.exitCode == 0)
            try expectLogin("alice", "secret", at: port)
            let line = try child.waitForLine(containing: "session ended")
            #expect(line.contains("user=alice"))
            let errors = try child.stop().errors
            #expect(errors.split(separator: "\n").count { $0.contains("session ended") } == 1)
        }
    }

    @Test func aPortWithoutAListenerIsUnhealthy() async throws {
        let deaf = try DeafPort()
        defer { deaf.close() }
        try await expectRefusal(
            of: Self.check(deaf.port),
            exitCode: 1,
            saying: "127.0.0.1:\(deaf.port): Connection refused"
        )
    }

    @Test(arguments: [
        (
            "HTTP/1.1 400 Bad SOCKSRequest\r\n\r\n",
            "it is an HTTP server, not a SOCKS5 server; is the port right?"
        ),
        ("\u{4}\u{0}", "it is a SOCKS4 server, not a SOCKS5 server; is the port right?"),
        ("\u{5}\u{1}", "it selects method 01, which was not offered; is it a SOCKS5 server?"),
        ("\u{5}\u{7f}", "it selects method 7f, which was not offered; is it a SOCKS5 server?"),
        ("\u{5}", "it closed the connection in the middle of its answer; is it a SOCKS5 server?"),
        (
            "",
            "it closed the connection without an answer; it doesn't take clients from here, is full, has TLS, or is no "
                + "SOCKS5 server"
        ),
    ])
    func serversThatDontSpeakSOCKSAreUnhealthy(_ answer: String, _ complaint: String) async throws {
        let listener = try TestListener()
        defer { listener.close() }
        let result = try await onThread {
            let check = try Self.check(listener.port).start()
            defer { check.finish() }
            let socket = try listener.accept()
            defer { socket.close() }
            _ = try socket.receive(4)
            try socket.send(Array(answer.utf8))
            socket.endSending()
            return try check.waitForEnd()
        }
        #expect(result.exitCode == 1)
        #expect(result.errors == "socks5d: healthcheck of 127.0.0.1:\(listener.port): \(complaint)\n")
    }

    @Test func oneThatSaysNothingIsNot() async throws {
        let listener = try TestListener()
        defer { listener.close() }
        try await expectRefusal(of: Self.check(listener.port), exitCode: 1, saying: "no answer within 3 s")
    }

    @Test func oneOfTwoListenersThatDoesNotAnswerIsEnough() async throws {
        let deaf = try DeafPort()
        defer { deaf.close() }
        try await withSocks5d { _, port in
            let both = Self.check(port).adding(Invocation("--listen", "127.0.0.1:\(deaf.port)"))
            let result = try both.start().waitForEnd()
            #expect(result.exitCode == 1)
        }
    }

    @Test func aBadAddressIsAMistakeOfTheCommandLine() async throws {
        try await expectRefusal(
            of: Invocation("healthcheck", "--listen", "here"),
            exitCode: 64,
            saying: "--listen: 'here'"
        )
    }
}
