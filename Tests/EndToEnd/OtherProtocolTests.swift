import TestSupport
import Testing

extension EndToEnd {
    /// SOCKS4, SOCKS4a and HTTP CONNECT by curl.
    @Suite(.client("curl", package: "curl")) struct OtherProtocolTests {
        @Test(arguments: ["socks4", "socks4a"], ["127.0.0.1", "localhost"])
        func aPageComesBySOCKS4(_ scheme: String, _ host: String) async throws {
            let (page, sessions) = try await withRig(protocols: "socks5,socks4") {
                try $0.curl(scheme, login: "alice:", $0.url(host))
            }
            #expect(page.output == WebConnection.page, "\(page.errors)")
            #expect(sessions.map(\.outcome) == ["completed"])
            // The user ID, which nobody has checked.
            #expect(sessions.map(\.user) == ["alice"])
            #expect((scheme == "socks4a" && host == "localhost") == (sessions.first?.host == "localhost"))
        }

        @Test func whereALoginIsRequiredSOCKS4IsRejected() async throws {
            let (page, sessions) = try await withRig(user: "alice:secret", protocols: "socks5,socks4") {
                try $0.curl("socks4", login: "alice:secret", $0.url("127.0.0.1"))
            }
            #expect(page.exitCode == 97)
            #expect(page.errors.contains("(91)"), "\(page.errors)")
            #expect(sessions.map(\.outcome) == ["no acceptable method"])
        }

        @Test(arguments: ["127.0.0.1", "localhost"], [nil, "alice:secret"])
        func aPageComesByHTTP(_ host: String, _ user: String?) async throws {
            let (page, sessions) = try await withRig(user: user, protocols: "socks5,http") {
                try $0.curl("http", login: user, ["--proxytunnel", $0.url(host)])
            }
            #expect(page.output == WebConnection.page, "\(page.errors)")
            #expect(sessions.map(\.host) == [host])
            #expect(sessions.map(\.user) == [user == nil ? nil : "alice"])
        }

        @Test(.ipv6) func aPageComesByHTTPOverIPv6() async throws {
            let (page, sessions) = try await withRig(listening: "[::1]", protocols: "http") {
                try $0.curl("http", ["--proxytunnel", $0.url("[::1]")])
            }
            #expect(page.output == WebConnection.page, "\(page.errors)")
            #expect(sessions.map(\.host) == ["[::1]"])
        }

        /// curl asks again with the login that the first answer asks for.
        @Test func aLoginIsGivenWhenItIsAskedFor() async throws {
            let (page, sessions) = try await withRig(user: "alice:secret", protocols: "http") {
                let arguments = ["--proxytunnel", "--proxy-anyauth", $0.url("127.0.0.1")]
                return try $0.curl("http", login: "alice:secret", arguments)
            }
            #expect(page.output == WebConnection.page, "\(page.errors)")
            #expect(sessions.map(\.outcome) == ["no acceptable method", "completed"])
        }

        @Test func aWrongLoginIsAnError() async throws {
            let (page, sessions) = try await withRig(user: "alice:secret", protocols: "http") {
                try $0.curl("http", login: "alice:wrong", ["--proxytunnel", $0.url("127.0.0.1")])
            }
            #expect(page.exitCode == 56)
            #expect(page.errors.contains("407"), "\(page.errors)")
            #expect(sessions.map(\.outcome) == ["login refused"])
        }

        /// Without a tunnel curl sends GET.
        @Test(arguments: [("http", "405"), ("socks5", "400")])
        func aRequestWithoutATunnelIsAnswered(_ protocols: String, _ status: String) async throws {
            let (page, _) = try await withRig(protocols: protocols) {
                try $0.curl("http", ["--write-out", "%{http_code}", $0.url("127.0.0.1")])
            }
            #expect(page.output.hasSuffix(status), "\(page.output) \(page.errors)")
        }
    }

    /// torsocks asks for the address of a name by RESOLVE, then connects to that.
    @Suite(.client("torsocks", package: "torsocks"), .client("nc.openbsd", package: "netcat-openbsd"))
    struct TorsocksTests {
        @Test func aNameIsResolvedByTheProxy() async throws {
            let (result, sessions) = try await withRig { rig in
                // Reached by the proxy alone: torsocks connects to loopback by itself only if it is allowed to.
                let configuration = """
                    TorAddress 127.0.0.1
                    TorPort \(rig.proxyPort)
                    AllowOutboundLocalhost 0

                    """
                let path = try rig.file("torsocks.conf", Array(configuration.utf8))
                return try rig.run(
                    ["torsocks", "nc.openbsd", "-N", "socks5d.invalid", String(rig.echo.port)],
                    environment: ["TORSOCKS_CONF_FILE": path]
                )
            }
            #expect(result.exitCode != 0)
            #expect(sessions.map(\.host) == ["socks5d.invalid"], "\(result.errors)")
            #expect(sessions.map(\.command) == ["resolve"])
        }
    }

    /// tsocks speaks SOCKS4.
    @Suite(.client("tsocks", package: "tsocks"), .client("nc.openbsd", package: "netcat-openbsd"))
    struct TsocksTests {
        @Test func bytesComeBackBySOCKS4() async throws {
            let (result, sessions) = try await withRig(protocols: "socks4") { rig in
                let configuration = "server = 127.0.0.1\nserver_port = \(rig.proxyPort)\nserver_type = 4\n"
                let path = try rig.file("tsocks.conf", Array(configuration.utf8))
                return try rig.run(
                    ["tsocks", "nc.openbsd", "-N", "127.0.0.1", String(rig.echo.port)],
                    environment: ["TSOCKS_CONF_FILE": path],
                    input: Array("to and fro\n".utf8)
                )
            }
            #expect(result.output == "to and fro\n", "\(result.errors)")
            #expect(sessions.map(\.outcome) == ["completed"])
        }
    }
}
