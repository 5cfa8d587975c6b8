import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

@testable import SOCKS5Admin

/// The table of sessions over HTTP: filtered, sorted and paged by the server. The sessions shown are the ones that are
/// ended.
@Suite struct SessionListTests {
    @Test(arguments: [
        ("alice", "alice", true), ("alice", "alic", false), ("alice", "alicea", false),
        ("al*", "alice", true),
        ("*ce", "alice", true), ("*", "", true), ("*", "alice", true), ("a*c*", "alice", true),
        ("a*x*", "alice", false),
        ("a*ca*e", "alice", false), ("alice*alice", "alice", false), ("", "alice", false),
        ("*a*a*", "banana", true),
        ("*é*", "caféx", true), ("**", "x", true),
    ]) func patternsMatchWholeTexts(_ pattern: String, _ text: String, _ matches: Bool) {
        #expect(TextPattern(pattern).matches(text) == matches)
    }

    @Test func unknownQueriesAreRefusedByName() async throws {
        try await withAdmin { rig in
            for query in [
                "usr=a", "limit=x", "limit=1001", "limit=-1", "offset=-1", "sort=color", "id=x",
                "user=a&user=b", "id=1,",
            ] {
                let answer = try rig.ask("GET /sessions?\(query)")
                #expect(answer.status == 400, "\(query)")
                #expect(answer.text.contains("expected"), "\(answer.text)")
            }
            for path in ["/bans?x", "/drain?x", "/config?x"] { try rig.expect(400, "GET \(path)") }
        }
    }

    private struct Clients {
        let listener: TestListener
        let sockets: [TestSocket]
        let targets: [TestSocket]

        /// The first has sent a byte, the second two, and so on.
        init(_ count: Int, through port: Int) throws {
            let listener = try TestListener()
            self.listener = listener
            sockets = try (0..<count).map { _ in
                try TestSocket.tunnel(through: port, to: .loopback(listener.port))
            }
            targets = try sockets.enumerated().map { index, socket in
                let target = try listener.accept()
                try socket.send([UInt8](repeating: 1, count: index + 1))
                _ = try target.receive(1)
                return target
            }
        }

        func close() {
            for socket in sockets + targets { socket.close() }
            listener.close()
        }
    }

    @Test func tableIsFilteredSortedAndPaged() async throws {
        try await withAdmin { rig in
            let clients = try Clients(5, through: rig.proxyPort)
            defer { clients.close() }
            func ids(_ query: String) throws -> [Int] {
                let answer = try rig.ask("GET /sessions?\(query)")
                guard answer.status == 200 else { throw TestFailure("\(answer)") }
                let running = answer.text.split(separator: "\"ended\":[")[0]
                return running.matches(of: /"id":(\d+)/).compactMap { Int($0.1) }
            }
            func sent(_ query: String) throws -> [Int] {
                try rig.ask("GET /sessions?\(query)").text.matches(of: /"bytes_sent":(\d+)/).compactMap {
                    Int($0.1)
                }
            }
            try eventually("all bytes are counted") { try sent("sort=-sent") == [5, 4, 3, 2, 1] }
            #expect(try sent("sort=sent&limit=2&offset=1") == [2, 3])
            let all = try ids("")
            #expect(all.count == 5 && all == all.sorted())
            #expect(try ids("sort=-id") == all.reversed())
            #expect(try ids("limit=0").isEmpty && ids("offset=5").isEmpty)
            #expect(try ids("id=\(all[1]),\(all[3])") == [all[1], all[3]])
            #expect(try ids("client=127.0.0.0/8").count == 5 && ids("client=10.0.0.0/8").isEmpty)
            #expect(try ids("client=127.0.0.1").count == 5 && ids("client=127.*").count == 5)
            #expect(try ids("client=127.0.0.1:\(clients.sockets[2].localPort)").count == 1)
            #expect(try ids("destination=127.0.0.1:\(clients.listener.port)").count == 5)
            #expect(try ids("destination=*.0.0.1").count == 5 && ids("destination=127.0.0").isEmpty)
            // Nobody has logged in.
            #expect(try ids("user=*").isEmpty && ids("user=").count == 5)
            for sort in ["age", "-age", "idle", "-idle", "received", "user", "-user"] {
                #expect(try ids("sort=\(sort)").sorted() == all, "\(sort)")
            }
            let answer = try rig.ask("GET /sessions?limit=1&client=127.0.0.1")
            #expect(answer.text.hasPrefix("{\"total\":5,\"matched\":5,\"sessions\":[{\"time\":\""))
            #expect(answer.headers["content-type"] == "application/json")
            for key in [
                "listener", "worker", "client_ip", "client_port", "protocol", "method", "command",
                "destination",
                "destination_port", "address", "bound", "reply", "stage", "handshake_ms", "dial_ms",
                "ready_ms", "age_ms",
                "idle_ms", "dial_attempts", "bytes_sent", "bytes_received",
            ] { #expect(answer.text.contains("\"\(key)\":"), "\(key)") }
        }
    }

    @Test func sessionsThatMatchTheFilterAreEnded() async throws {
        try await withAdmin(token: "0123456789abcdef") { rig in
            let clients = try Clients(3, through: rig.proxyPort)
            defer { clients.close() }
            func ask(_ request: String) throws -> HTTPAnswer {
                try rig.ask(request, "Authorization: Bearer 0123456789abcdef")
            }
            let one = "client=127.0.0.1:\(clients.sockets[1].localPort)"
            #expect(try ask("DELETE /sessions?\(one)&dry_run=true").text == "{\"matched\":1,\"ended\":0}\n")
            #expect(rig.proxy.statistics.active == 3)
            #expect(try ask("DELETE /sessions?\(one)").text == "{\"matched\":1,\"ended\":1}\n")
            try clients.sockets[1].expectReset()
            for query in [
                "", "?user=", "?dry_run=true", "?limit=1", "?\(one)&dry_run=perhaps", "?sort=id&user=a",
            ] {
                #expect(try ask("DELETE /sessions\(query)").status == 400, "\(query)")
            }
            let ended = try ask("GET /sessions").text
            #expect(ended.contains("\"ended\":[{") && ended.contains("\"outcome\":\"ended_by_admin\""))
            #expect(ended.contains("\"ended_by\":\"admin\"") && ended.contains("\"duration_ms\":"))
            let id = try #require(ended.firstMatch(of: /"sessions":\[\{"time":"[^"]*","id":(\d+)/)).1
            #expect(try ask("DELETE /sessions/\(id)").text == "{\"ended\":1}\n")
            #expect(try ask("DELETE /sessions/\(id)").status == 404)
            #expect(try ask("DELETE /sessions/first").status == 400)
            #expect(try ask("DELETE /sessions/").status == 404)
            #expect(try ask("DELETE /sessions?destination=*").text == "{\"matched\":1,\"ended\":1}\n")
        }
    }

    /// Names are bytes of any kind; the table is one document and one line nevertheless.
    @Test func namesFromTheWireAreEscaped() async throws {
        let names: [[UInt8]] = [
            Array("\"><script>".utf8), Array("a\nb\r".utf8), Array("\u{202e}gnp".utf8), [0xff, 0xfe],
            Array("\u{1b}[31m".utf8),
        ]
        try await withAdmin(proxy: { configuration in
            configuration.users = names.map { ProxyUser(name: $0, password: [1]) }
        }) { rig in
            for name in names {
                let socket = try TestSocket(connectingTo: rig.proxyPort)
                defer { socket.close() }
                try socket.send(Greeting(methods: [.usernamePassword]))
                _ = try socket.receive(MethodSelection.self)
                try socket.send(Credentials(username: name, password: [1]))
                _ = try socket.receive(AuthenticationStatus.self)
                try socket.send(SOCKSRequest(command: .connect, destination: .loopback(1)))
                _ = try socket.receive(SOCKSResponse.self)
            }
            try eventually("all have ended") { rig.proxy.statistics.active == 0 }
            let answer = try rig.ask("GET /sessions")
            #expect(
                answer.body.last == UInt8(ascii: "\n") && answer.body.dropLast().allSatisfy { $0 >= 0x20 }
            )
            #expect(answer.text.contains(#""user":"\"><script>""#))
            #expect(answer.text.contains(#""user":"\u202egnp""#) && !answer.text.contains("\u{202e}"))
            #expect(answer.text.contains("\"user\":\"\u{fffd}\u{fffd}\""))
            let found = try rig.ask("GET /sessions?user=%E2%80%AEgnp").text
            #expect(found.matches(of: /"user":/).count == 1)
        }
    }
}
