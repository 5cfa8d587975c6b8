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
            // The user ID, which isn't verified.
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

        /// curl sends the login after the first answer has asked for it.
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

    /// torsocks resolves names by RESOLVE. It connects to loopback only directly, so these tests end with the address.
    @Suite(.client("torsocks", package: "torsocks"), .client("python3", package: "python3"))
    struct TorsocksTests {
        private static let program = [
            "python3", "-c", "import socket, sys; print(socket.gethostbyname(sys.argv[1]))",
        ]

        @Test func aNameHasTheAddressThatTheProxyFinds() async throws {
            let (results, sessions) = try await withRig { rig in
                let name = try rig.run(["uname", "-n"]).output.split(separator: "\n").joined()
                let command = Self.program + [name]
                return (name, plain: try rig.run(command), through: try rig.torsocks(command))
            }
            #expect(results.plain.exitCode == 0 && results.through.output == results.plain.output)
            #expect(sessions.map(\.host) == [results.0], "\(results.through.errors)")
            #expect(sessions.map(\.command) == ["resolve"])
            #expect(sessions.map(\.outcome) == ["completed"])
        }

        @Test func anUnknownNameHasNoAddress() async throws {
            let (result, sessions) = try await withRig { try $0.torsocks(Self.program + ["socks5d.invalid"]) }
            #expect(result.exitCode != 0)
            #expect(result.errors.contains("Unable to resolve. Status reply: 4"), "\(result.errors)")
            #expect(sessions.map(\.outcome) == ["refused, reply 4"])
        }
    }
}

extension Rig {
    fileprivate func torsocks(_ command: [String]) throws -> ChildProcess.Result {
        let configuration = "TorAddress 127.0.0.1\nTorPort \(proxyPort)\n"
        let path = try file("torsocks.conf", Array(configuration.utf8))
        return try run(["torsocks"] + command, environment: ["TORSOCKS_CONF_FILE": path])
    }
}
