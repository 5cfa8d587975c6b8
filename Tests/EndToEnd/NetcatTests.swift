import TestSupport
import Testing

extension EndToEnd {
    /// OpenBSD's netcat, as used in ssh's ProxyCommand: no login, and names are left to the proxy.
    @Suite(.client("nc.openbsd", package: "netcat-openbsd")) struct NetcatTests {
        @Test(arguments: ["127.0.0.1", "localhost"]) func bytesComeBack(_ host: String) async throws {
            try await expectEcho(from: host)
        }

        @Test(.ipv6) func bytesComeBackOverIPv6() async throws {
            try await expectEcho(from: "::1", asLogged: "[::1]")
        }

        /// More than the buffers in between hold, followed by the end of sending.
        private func expectEcho(from host: String, asLogged logged: String? = nil) async throws {
            let line = "All work and no play makes Jack a dull boy.\n"
            let text = String(repeating: line, count: (4 << 20) / line.utf8.count)
            let (result, sessions) = try await withRig { rig in
                try rig.netcat(host, rig.echo.port, input: text)
            }
            #expect(result.exitCode == 0)
            #expect(result.output == text)
            #expect(sessions.map(\.host) == [logged ?? host])
            #expect(sessions.map(\.outcome) == ["completed"])
            #expect(sessions.map(\.sent) == [text.utf8.count])
        }

        @Test func aPortWithoutAListenerIsAnError() async throws {
            let deaf = try DeafPort()
            defer { deaf.close() }
            let (result, sessions) = try await withRig { try $0.netcat("127.0.0.1", deaf.port) }
            #expect(result.exitCode == 1)
            #expect(result.errors.contains("connection failed, SOCKSv5 error: Connection refused"))
            #expect(sessions.map(\.outcome) == ["refused, reply 5"])
        }

        @Test func aProxyThatAsksForALoginIsAnError() async throws {
            let (result, sessions) = try await withRig(user: "alice:secret") { rig in
                try rig.netcat("127.0.0.1", rig.echo.port)
            }
            #expect(result.exitCode == 1)
            #expect(result.errors.contains("authentication method negotiation failed"))
            #expect(sessions.map(\.outcome) == ["no acceptable method"])
        }
    }
}

extension Rig {
    fileprivate func netcat(_ host: String, _ port: Int, input: String = "") throws -> ChildProcess.Result {
        try run(["nc.openbsd", "-N", "-X", "5", "-x", proxy, host, String(port)], input: Array(input.utf8))
    }
}
