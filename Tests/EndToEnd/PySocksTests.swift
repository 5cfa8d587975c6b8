import TestSupport
import Testing

extension EndToEnd {
    /// PySocks with Debian's Python: another Python in PATH doesn't have it.
    @Suite(.client("/usr/lib/python3/dist-packages/socks.py", package: "python3-socks"))
    struct PySocksTests {
        @Test(arguments: [true, false], ["127.0.0.1", "localhost"])
        func bytesComeBack(namesForTheProxy: Bool, _ host: String) async throws {
            try await expectEcho(from: host, namesForTheProxy: namesForTheProxy)
        }

        @Test(arguments: [true, false], ["127.0.0.1", "localhost"])
        func bytesComeBackAfterALogin(namesForTheProxy: Bool, _ host: String) async throws {
            try await expectEcho(from: host, namesForTheProxy: namesForTheProxy, user: "alice:secret")
        }

        @Test(.ipv6, arguments: [true, false])
        func bytesComeBackOverIPv6(namesForTheProxy: Bool) async throws {
            try await expectEcho(from: "::1", namesForTheProxy: namesForTheProxy)
        }

        private func expectEcho(from host: String, namesForTheProxy: Bool, user: String? = nil) async throws {
            let (result, sessions) = try await withRig(user: user) { rig in
                try rig.pySocks(host, rig.echo.port, login: user, namesForTheProxy: namesForTheProxy)
            }
            #expect(result.errors.isEmpty)
            #expect(result.output == "echo of a million bytes\n")
            #expect(sessions.map(\.outcome) == ["completed"])
            #expect(sessions.map(\.sent) == [1_000_000])
            #expect(sessions.map(\.user) == [user == nil ? nil : "alice"])
            #expect(
                sessions.allSatisfy { $0.host == "localhost" } == (host == "localhost" && namesForTheProxy)
            )
        }

        @Test(arguments: [
            ("alice:wrong", "SOCKS5 authentication failed", "login refused"),
            (nil, "All offered SOCKS5 authentication methods were rejected", "no acceptable method"),
        ])
        func aWrongLoginIsAnError(_ login: String?, _ error: String, _ outcome: String) async throws {
            let (result, sessions) = try await withRig(user: "alice:secret") { rig in
                try rig.pySocks("127.0.0.1", rig.echo.port, login: login)
            }
            #expect(result.exitCode == 1)
            #expect(result.errors.contains(error))
            #expect(sessions.map(\.outcome) == [outcome])
        }

        @Test func aPortWithoutAListenerIsAnErrorWithTheReply() async throws {
            let deaf = try DeafPort()
            defer { deaf.close() }
            let (result, sessions) = try await withRig { try $0.pySocks("127.0.0.1", deaf.port) }
            #expect(result.exitCode == 1)
            #expect(result.errors.contains("0x05: Connection refused"))
            #expect(sessions.map(\.outcome) == ["refused, reply 5"])
        }
    }
}

extension Rig {
    private static let program = """
        import socket, socks, sys
        proxy, names, host, port, *login = sys.argv[1:]
        client = socks.socksocket()
        client.set_proxy(socks.SOCKS5, "127.0.0.1", int(proxy), names == "true", *login)
        try:
            client.connect((host, int(port)))
        except socks.ProxyError as error:
            sys.exit(str(error))
        client.settimeout(10)
        sent = bytes(range(250)) * 4000
        received = b""
        for place in range(0, len(sent), 50000):
            client.sendall(sent[place:place + 50000])
            while len(received) < place + 50000:
                received += client.recv(65536)
        client.shutdown(socket.SHUT_WR)
        while some := client.recv(65536):
            received += some
        print("echo of a million bytes" if received == sent else f"{len(received)} other bytes")
        """

    /// - Parameter login: NAME:PASSWORD.
    fileprivate func pySocks(
        _ host: String,
        _ port: Int,
        login: String? = nil,
        namesForTheProxy: Bool = true
    ) throws -> ChildProcess.Result {
        try run(
            ["/usr/bin/python3", "-c", Self.program, proxyPort, String(namesForTheProxy), host, String(port)]
                + (login?.split(separator: ":").map(String.init) ?? [])
        )
    }
}
