import TestSupport
import Testing

extension EndToEnd {
    /// curl resolves names itself for `socks5://`, and leaves that to the proxy for `socks5h://`. Failures in the proxy
    /// are its error 97 (CURLE_PROXY).
    @Suite(.client("curl", package: "curl")) struct CurlTests {
        @Test(arguments: ["socks5", "socks5h"], ["127.0.0.1", "localhost"])
        func aPageComes(_ scheme: String, _ host: String) async throws {
            let (page, sessions) = try await withRig { try $0.curl(scheme, $0.url(host)) }
            #expect(page.output == WebConnection.page)
            #expect(page.exitCode == 0)
            #expect(sessions.map(\.outcome) == ["completed"])
            let isName = scheme == "socks5h" && host == "localhost"
            #expect(isName == sessions.allSatisfy { $0.host == "localhost" })
        }

        @Test(arguments: ["socks5", "socks5h"], ["127.0.0.1", "localhost"])
        func aPageComesAfterALogin(_ scheme: String, _ host: String) async throws {
            let (page, sessions) = try await withRig(user: "alice:secret") {
                try $0.curl(scheme, login: "alice:secret", $0.url(host))
            }
            #expect(page.output == WebConnection.page)
            #expect(page.exitCode == 0)
            #expect(sessions.map(\.user) == ["alice"])
        }

        @Test(.ipv6, arguments: ["socks5", "socks5h"], [nil, "alice:secret"])
        func aPageComesOverIPv6(_ scheme: String, _ user: String?) async throws {
            let (page, sessions) = try await withRig(listening: "[::1]", user: user) {
                try $0.curl(scheme, login: user, $0.url("[::1]"))
            }
            #expect(page.output == WebConnection.page)
            #expect(page.exitCode == 0)
            #expect(sessions.map(\.host) == ["[::1]"])
        }

        /// curl then offers both methods.
        @Test func anUnnecessaryLoginDoesNoHarm() async throws {
            let (page, sessions) = try await withRig {
                try $0.curl("socks5h", login: "alice:secret", $0.url("127.0.0.1"))
            }
            #expect(page.output == WebConnection.page)
            #expect(sessions.map(\.user) == [nil])
        }

        @Test(arguments: ["alice:wrong", "bob:secret", "alice:"])
        func aWrongLoginIsAnError(_ login: String) async throws {
            let (page, sessions) = try await withRig(user: "alice:secret") {
                try $0.curl("socks5h", login: login, $0.url("127.0.0.1"))
            }
            #expect(page.exitCode == 97)
            #expect(page.errors.contains("User was rejected by the SOCKS5 server (1 1)."))
            #expect(sessions.map(\.outcome) == ["login refused"])
        }

        @Test func aMissingLoginIsAnError() async throws {
            let (page, sessions) = try await withRig(user: "alice:secret") {
                try $0.curl("socks5h", $0.url("127.0.0.1"))
            }
            #expect(page.exitCode == 97)
            #expect(page.errors.contains("No authentication method was acceptable."))
            #expect(sessions.map(\.outcome) == ["no acceptable method"])
        }

        @Test(arguments: ["socks5", "socks5h"])
        func aPortWithoutAListenerIsAnErrorWithTheReply(_ scheme: String) async throws {
            let deaf = try DeafPort()
            defer { deaf.close() }
            let (page, sessions) = try await withRig {
                try $0.curl(scheme, "http://127.0.0.1:\(deaf.port)/")
            }
            #expect(page.exitCode == 97)
            #expect(page.errors.contains("Can't complete SOCKS5 connection to 127.0.0.1. (5)"))
            #expect(sessions.map(\.outcome) == ["refused, reply 5"])
        }

        @Test func severalRequestsUseOneTunnel() async throws {
            let (pages, sessions) = try await withRig { rig in
                try rig.curl(
                    "socks5h",
                    rig.url("127.0.0.1"),
                    rig.url("127.0.0.1", "/none"),
                    rig.url("127.0.0.1")
                )
            }
            #expect(pages.output == WebConnection.page + "not here\n" + WebConnection.page)
            #expect(sessions.count == 1)
        }

        @Test func fiftyAtOnceAllGetTheirPage() async throws {
            let (pages, sessions) = try await withRig(user: "alice:secret") { rig in
                let urls = (1...50).map { "\(rig.url("localhost"))/\($0)" }
                let parallel = ["--parallel", "--parallel-immediate", "--parallel-max", "50"]
                return try rig.curl("socks5h", login: "alice:secret", parallel + urls)
            }
            #expect(pages.exitCode == 0)
            let count = pages.output.split(separator: "\n").count { $0 == WebConnection.pageText }
            #expect(count == 50)
            #expect(sessions.count { $0.outcome == "completed" } == 50)
        }
    }
}

extension Rig {
    /// - Parameter login: NAME:PASSWORD.
    func curl(_ scheme: String, login: String? = nil, _ urls: String...) throws -> ChildProcess.Result {
        try curl(scheme, login: login, urls)
    }

    func curl(_ scheme: String, login: String? = nil, _ arguments: [String]) throws -> ChildProcess.Result {
        try run(
            ["curl", "--silent", "--show-error", "--proxy", "\(scheme)://\(proxy)"]
                + (login.map { ["--proxy-user", $0] } ?? []) + arguments
        )
    }
}
