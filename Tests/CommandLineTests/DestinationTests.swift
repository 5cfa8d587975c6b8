import SOCKS5Protocol
import TestSupport
import Testing

/// What `--allow-destinations` opens, and what a refusal says in the log.
@Suite struct DestinationTests {
    private static let exposed = Invocation("--listen", "0.0.0.0:0", "--open", "--log-level", "info")

    private static func expectReply(
        _ expected: Reply,
        through proxy: Int,
        to name: String,
        _ port: Int
    ) throws {
        let socket = try TestSocket(connectingTo: proxy)
        defer { socket.close() }
        let reply = try socket.request(.connect, Destination(name: name, port: port)).reply
        #expect(reply == expected, "\(name)")
    }

    @Test func anExposedListenerIsGuardedAndTheLogGivesTheReason() async throws {
        try await withSocks5d(Self.exposed) { child, port in
            for (name, reason) in [
                ("127.0.0.1", "loopback"), ("0x7f.1", "loopback"), ("10.0.0.1", "private"),
                ("169.254.169.254", "metadata"), ("0.0.0.1", "unspecified"), ("ff02::1", "multicast"),
                ("::", "loopback"), ("0", "loopback"),
            ] {
                try Self.expectReply(.notAllowed, through: port, to: name, 9)
                let line = try child.waitForLine(containing: "guard: \(reason)")
                #expect(line.contains("outcome=\"refused, reply 2, guard: \(reason)\""))
            }
            try Self.expectReply(.notAllowed, through: port, to: "127.0.0.1", port)
            _ = try child.waitForLine(containing: "guard: own listener")
        }
    }

    @Test(arguments: Origin.allCases) func onlyAllowedDestinationsAreDialled(_ origin: Origin) async throws {
        let some = Invocation("allow-destinations", "192.0.2.0/24,127.0.0.1", by: origin)
        try await withSocks5d(Self.exposed.adding(some)) { child, port in
            let allowed = try child.waitForLine("destinations: ")
            #expect(allowed == "the public internet, 192.0.2.0/24, 127.0.0.1/32")
            try expectRelaying(through: port)
            try Self.expectReply(.notAllowed, through: port, to: "127.0.0.2", 9)
            try Self.expectReply(.notAllowed, through: port, to: "10.0.0.1", 9)
        }
    }

    @Test func theFlagIsRepeatable() async throws {
        let twice = Invocation("--allow-destinations", "private", "--allow-destinations", "127.0.0.0/8")
        try await withSocks5d(Self.exposed.adding(twice)) { child, port in
            let allowed = try child.waitForLine("destinations: ")
            #expect(allowed == "the public internet, private, 127.0.0.0/8")
            try expectRelaying(through: port)
        }
    }

    @Test func allOpensAllButTheListenerItself() async throws {
        try await withSocks5d(Self.exposed.adding(Invocation("--allow-destinations", "all"))) { child, port in
            try expectRelaying(through: port)
            try Self.expectReply(.notAllowed, through: port, to: "127.0.0.2", port)
            _ = try child.waitForLine(containing: "guard: own listener")
        }
    }

    @Test(arguments: Origin.allCases) func invalidExceptionsOfTheGuardAreRefused(_ origin: Origin)
        async throws
    {
        for (value, message) in [
            ("10.0.0.1/8", "expected 10.0.0.0/8"), ("privat", "expected private, all or a network"),
            ("", "expected private, all or a network"),
            ("10.0.0.0/8,10.0.0.0/33", "'10.0.0.0/33' is not a network"),
        ] {
            try await expectRefusal(
                of: Invocation("allow-destinations", value, by: origin),
                exitCode: origin.exitCode,
                saying: origin.name(of: "allow-destinations"),
                message
            )
        }
    }
}
