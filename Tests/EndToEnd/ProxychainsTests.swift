import TestSupport
import Testing

extension EndToEnd {
    /// proxychains4 in front of programs that know nothing about proxies.
    @Suite(
        .client("proxychains4", package: "proxychains4"),
        .client("curl", package: "curl"),
        .client("nc.openbsd", package: "netcat-openbsd")
    )
    struct ProxychainsTests {
        @Test(arguments: ["127.0.0.1", "localhost"], [nil, "alice:secret"])
        func curlGetsAPage(_ host: String, _ user: String?) async throws {
            let (page, sessions) = try await withRig(user: user) { rig in
                try rig.proxychains(login: user, ["curl", "--silent", "--show-error", rig.url(host)])
            }
            #expect(page.errors.isEmpty)
            #expect(page.output == WebConnection.page)
            #expect(sessions.map(\.outcome) == ["completed"])
            #expect(sessions.map(\.user) == [user == nil ? nil : "alice"])
        }

        @Test(.ipv6, arguments: [nil, "alice:secret"])
        func netcatGetsItsBytesBackOverIPv6(_ user: String?) async throws {
            let (result, sessions) = try await withRig(user: user) { rig in
                let netcat = ["nc.openbsd", "-N", "::1", String(rig.echo.port)]
                return try rig.proxychains(login: user, netcat, input: "to and fro\n")
            }
            #expect(result.errors.isEmpty)
            #expect(result.output == "to and fro\n")
            #expect(sessions.map(\.host) == ["[::1]"])
        }

        /// proxychains4 reads only /etc/hosts; by RFC 6761 the name never has an address.
        @Test func aNameThatIsNotInHostsIsLeftToTheProxy() async throws {
            let (result, sessions) = try await withRig { rig in
                try rig.proxychains(["nc.openbsd", "-N", "socks5d.invalid", String(rig.echo.port)])
            }
            #expect(result.exitCode == 1)
            #expect(sessions.map(\.host) == ["socks5d.invalid"])
        }

        @Test(arguments: [("socks4", nil), ("http", nil), ("http", "alice:secret")] as [(String, String?)])
        func anotherProtocolServesAsWell(_ type: String, _ user: String?) async throws {
            let (page, sessions) = try await withRig(user: user, protocols: "socks4,http") { rig in
                let command = ["curl", "--silent", "--show-error", rig.url("127.0.0.1")]
                return try rig.proxychains(by: type, login: user, command)
            }
            #expect(page.errors.isEmpty)
            #expect(page.output == WebConnection.page)
            #expect(sessions.map(\.outcome) == ["completed"])
        }

        @Test func aWrongPasswordIsAnError() async throws {
            let (page, sessions) = try await withRig(user: "alice:secret") { rig in
                try rig.proxychains(login: "alice:wrong", ["curl", "--silent", rig.url("127.0.0.1")])
            }
            #expect(page.exitCode == 7)
            #expect(page.output.isEmpty)
            #expect(!sessions.isEmpty)
            #expect(sessions.allSatisfy { $0.outcome == "login refused" })
        }

        @Test func aPortWithoutAListenerIsAnError() async throws {
            let deaf = try DeafPort()
            defer { deaf.close() }
            let (page, sessions) = try await withRig { rig in
                try rig.proxychains(["curl", "--silent", "http://127.0.0.1:\(deaf.port)/"])
            }
            #expect(page.exitCode == 7)
            #expect(sessions.map(\.outcome) == ["refused, reply 5"])
        }
    }
}

extension Rig {
    /// - Parameter login: NAME:PASSWORD.
    fileprivate func proxychains(
        by type: String = "socks5",
        login: String? = nil,
        _ command: [String],
        input: String = ""
    ) throws -> ChildProcess.Result {
        let words = login?.split(separator: ":").joined(separator: " ") ?? ""
        // Without `localnet`, not even loopback bypasses the proxy.
        let configuration = """
            strict_chain
            proxy_dns
            remote_dns_subnet 224
            tcp_read_time_out 15000
            tcp_connect_time_out 8000
            [ProxyList]
            \(type) 127.0.0.1 \(proxyPort) \(words)

            """
        let path = try file("proxychains.conf", Array(configuration.utf8))
        return try run(["proxychains4", "-q", "-f", path] + command, input: Array(input.utf8))
    }
}
