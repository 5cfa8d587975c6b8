import Locks
import Logging
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

@testable import SOCKS5Admin

/// Commands over HTTP, and the access rules for them.
@Suite struct ControlTests {
    private static let token = "0123456789abcdef"
    private static let authorization = "Authorization: Bearer 0123456789abcdef"

    private static let changes = [
        "DELETE /sessions?user=a", "DELETE /sessions/1", "DELETE /bans?client=192.0.2.1", "POST /drain",
        "DELETE /drain",
        "POST /quotas/a/reset", "DELETE /names", "POST /reload", "PUT /log-level?level=debug",
    ]

    @Test func changesOverTCPNeedTheToken() async throws {
        try await withAdmin { rig in
            for change in Self.changes {
                let answer = try rig.ask(change)
                #expect(
                    answer.status == 403 && answer.text.contains("admin.token-file"),
                    "\(change): \(answer)"
                )
            }
            try rig.expect(200, "GET /sessions")
            #expect(rig.proxy.stage == .running)
        }
        try await withAdmin(token: Self.token) { rig in
            for change in Self.changes {
                try rig.expect(401, change)
                try rig.expect(403, change, Self.authorization, "Host: evil.example")
                try rig.expect(403, change, Self.authorization, "Origin: http://evil.example")
                try rig.expect(403, change, Self.authorization, "Sec-Fetch-Site: cross-site")
            }
            #expect(rig.proxy.stage == .running)
        }
    }

    @Test func nothingIsChangedByGET() {
        for route in Route.all { #expect((route.method == "GET") == (route.kind != .changing)) }
    }

    @Test func drainIsStartedReportedAndCancelled() async throws {
        try await withAdmin(token: Self.token) { rig in
            #expect(
                try rig.ask("POST /drain?within=600", Self.authorization).text.contains(
                    "\"state\":\"draining\""
                )
            )
            try rig.expect(503, "GET /readyz", Self.authorization)
            #expect(try rig.ask("GET /readyz", Self.authorization).text == "not ready: draining\n")
            #expect(try rig.ask("GET /drain", Self.authorization).text.contains("\"state\":\"draining\""))
            #expect(try rig.ask("DELETE /drain", Self.authorization).text.contains("\"state\":\"running\""))
            try rig.expect(409, "DELETE /drain", Self.authorization)
            try rig.expect(200, "GET /readyz", Self.authorization)
            for within in ["-1", "soon", "604801"] {
                try rig.expect(400, "POST /drain?within=\(within)", Self.authorization)
            }
        }
        try await withAdmin(token: Self.token, startingProxy: false) { rig in
            try rig.expect(409, "POST /drain", Self.authorization)
        }
    }

    @Test func bansQuotasAndNamesAreAskedFor() async throws {
        var ban = LoginBan()
        ban.failures = 1
        try await withAdmin(
            token: Self.token,
            proxy: {
                $0.users = [ProxyUser(name: "al ice", password: "secret")]
                $0.loginBan = ban
                $0.limits.user.quota = Quota(bytes: 1000, period: .day)
            }
        ) { rig in
            for password in ["secret", "wrong"] {
                let client = try TestSocket(connectingTo: rig.proxyPort)
                defer { client.close() }
                try client.send(Greeting(methods: [.usernamePassword]))
                _ = try client.receive(MethodSelection.self)
                try client.send(Credentials(username: "al ice", password: password))
                _ = try client.receive(AuthenticationStatus.self)
                guard password == "secret" else { continue }
                try client.send(SOCKSRequest(command: .connect, destination: .loopback(1)))
                _ = try client.receive(SOCKSResponse.self)
            }
            func ask(_ request: String) throws -> HTTPAnswer { try rig.ask(request, Self.authorization) }
            let bans = try ask("GET /bans").text
            #expect(
                bans.wholeMatch(of: /\{"bans":\[\{"client":"127.0.0.1","seconds_left":\d+\}\]\}\n/) != nil,
                "\(bans)"
            )
            #expect(try ask("DELETE /bans").status == 400)
            #expect(try ask("DELETE /bans?client=192.0.2.1").status == 404)
            #expect(try ask("DELETE /bans?client=127.0.0.1").text == "{\"lifted\":1}\n")
            #expect(try ask("GET /bans").text == "{\"bans\":[]}\n")
            let users = #"{"users":[{"user":"al ice","sessions":0,"bytes_sent":0,"bytes_received":0,"#
            #expect(try ask("GET /users").text == users + "\"quota_bytes\":1000,\"quota_used_bytes\":0}]}\n")
            #expect(try ask("POST /quotas/al%20ice/reset").text == "{\"reset\":1}\n")
            #expect(try ask("POST /quotas/bob/reset").status == 404)
            #expect(try ask("POST /quotas//reset").status == 404)
            #expect(try ask("DELETE /names").text == "{\"forgotten\":0}\n")
        }
    }

    @Test func programIsAskedForSettingsAndLog() async throws {
        let level = Guarded(Logger.Level.notice)
        let results = Guarded<[AdminActions.ReloadResult]>([
            .adopted(users: 2, rules: 3, needingRestart: ["listen"]),
            .refused(reasons: ["f:1:2: bad\n\u{202e}"]),
            .adopted(users: 0, rules: 0, needingRestart: []),
        ])
        var actions = AdminActions()
        actions.reload = { results.withLock { $0.removeFirst() } }
        actions.settings = {
            [
                .init(key: "listen", value: "[\"127.0.0.1:1080\"]", origin: "default"),
                .init(key: "user-file", value: nil, origin: "f:1:1"),
            ]
        }
        actions.logLevel = { level.withLock { $0 } }
        actions.setLogLevel = { new in level.withLock { $0 = new } }
        try await withAdmin(token: Self.token, actions: actions) { rig in
            func ask(_ request: String, body: String = "") throws -> HTTPAnswer {
                try rig.ask(request, Self.authorization, body: body)
            }
            #expect(
                try ask("POST /reload").text == "{\"users\":2,\"rules\":3,\"need_restart\":[\"listen\"]}\n"
            )
            let refused = try ask("POST /reload")
            #expect(
                refused.status == 422
                    && refused.text.hasPrefix("not reloaded: everything stays as it was\nf:1:2: bad")
            )
            #expect(
                refused.body.count { $0 == UInt8(ascii: "\n") } == 2
                    && refused.text.utf8.allSatisfy { $0 < 0x80 }
            )
            #expect(
                try ask("POST /reload?revoke=true").text
                    == "{\"users\":0,\"rules\":0,\"ended\":0,\"need_restart\":[]}\n"
            )
            #expect(try ask("POST /reload?revoke=maybe").status == 400)
            #expect(
                try ask("GET /config").text == """
                    {"settings":[{"key":"listen","value":["127.0.0.1:1080"],"origin":"default"},\
                    {"key":"user-file","value":null,"origin":"f:1:1"}]}

                    """
            )
            #expect(try ask("GET /log-level").text == "notice\n")
            #expect(try ask("PUT /log-level", body: "Debug\n").text == "debug\n")
            #expect(try ask("PUT /log-level?level=error").text == "error\n")
            #expect(try ask("PUT /log-level", body: "loud").status == 400)
            #expect(try ask("PUT /log-level").status == 400)
            #expect(level.withLock { $0 } == .error)
        }
    }

    @Test func programThatCannotSaysSo() async throws {
        try await withAdmin(token: Self.token) { rig in
            for request in ["POST /reload", "GET /config", "GET /log-level", "PUT /log-level?level=info"] {
                try rig.expect(501, request, Self.authorization)
            }
        }
    }

    @Test func changesAndRefusalsAreLogged() async throws {
        let log = MessageLog()
        try await withAdmin(token: Self.token, logger: log.logger) { rig in
            try rig.expect(200, "DELETE /names", Self.authorization)
            try rig.expect(404, "DELETE /sessions/7", Self.authorization)
            try rig.expect(200, "GET /sessions", Self.authorization)
            try rig.expect(401, "DELETE /names?a=%0Ab")
            try eventually("all are told") { log.lines.count >= 3 }
        }
        let lines = log.lines.filter { $0.contains("admin") }
        #expect(lines.count == 3, "\(lines)")
        #expect(
            lines.contains {
                $0.contains("admin request") && $0.contains("DELETE /names") && $0.contains("200")
            }
        )
        #expect(lines.contains { $0.contains("there is no session 7") })
        #expect(
            lines.contains { $0.contains("admin request refused") && $0.contains("DELETE /names?a=\\nb") }
        )
        #expect(!lines.contains { $0.contains(Self.token) })
    }
}

/// The logged messages.
private final class MessageLog: Sendable {
    private let told = Guarded<[String]>([])

    var lines: [String] { told.withLock { $0 } }
    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: MessageLog
        var logLevel = Logger.Level.info
        var metadata: Logger.Metadata = [:]

        init(log: MessageLog) {
            self.log = log
        }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let fields = (event.metadata ?? [:]).map { "\($0.key)=\($0.value)" }.joined(separator: " ")
            log.told.withLock { $0.append("\(event.message) \(fields)") }
        }
    }
}
