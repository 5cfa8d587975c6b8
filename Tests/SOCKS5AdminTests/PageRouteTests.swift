import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

@testable import SOCKS5Admin

/// The page and its numbers, asked for over HTTP.
@Suite struct PageRouteTests {
    private static let token = "0123456789abcdef"

    @Test func thePageComesWithItsPolicyAndTheFirstTable() async throws {
        try await withAdmin { rig in
            let target = try TestListener()
            defer { target.close() }
            let client = try TestSocket.tunnel(through: rig.proxyPort, to: .loopback(target.port))
            defer { client.close() }
            let answer = try rig.ask("GET /")
            #expect(answer.status == 200 && answer.headers["content-type"] == "text/html; charset=utf-8")
            let policy = answer.headers["content-security-policy"] ?? ""
            let nonce = policy.split(separator: "script-src 'nonce-").last?.prefix(32) ?? ""
            #expect(policy == Page.contentSecurityPolicy(nonce: String(nonce)))
            #expect(answer.text.contains("<style nonce=\"\(nonce)\">"))
            #expect(answer.text.contains("<bdi>127.0.0.1:\(target.port)</bdi>"))
            #expect(try rig.ask("GET /").headers["content-security-policy"] != policy)
            #expect(try rig.ask("GET /?destination=nowhere").text.contains("No sessions"))
            #expect(try rig.ask("GET /?offset=1000000000").text.contains("No sessions"))
            for query in ["offset=99999999999999999999", "offset=-1", "sort=size", "usr=alice"] {
                try rig.expect(400, "GET /?\(query)")
            }
        }
    }

    @Test func theStatusTellsOfSessionsBytesAndReplies() async throws {
        try await withAdmin { rig in
            let target = try TestListener()
            defer { target.close() }
            let client = try TestSocket.tunnel(through: rig.proxyPort, to: .loopback(target.port))
            defer { client.close() }
            let server = try target.accept()
            defer { server.close() }
            try client.send([1, 2, 3])
            try server.send(try server.receive(3) + [4])
            #expect(try client.receive(4) == [1, 2, 3, 4])
            try eventually("the bytes are counted") {
                try rig.ask("GET /status.json").text.contains(#""bytes":{"sent":3,"received":4}"#)
            }
            let text = try rig.ask("GET /status.json").text
            for part in [
                #""sessions":{"running":1,"limit":\#(rig.proxy.maxConnections),"accepted":1,"ended":0,"relaying":1,"handshakes":0}"#,
                #""listeners":[{"name":"127.0.0.1:\#(rig.proxyPort)","sessions":1}]"#,
                #""replies":{"0":1,"#, #""state":"running""#, #""workers":2"#,
                #""destinations":[{"destination":"127.0.0.1","sessions":1,"sent":3,"received":4}]"#,
                #""clients":[{"client":"127.0.0.1","sessions":1,"sent":3,"received":4}]"#,
                #""users":[{"sessions":1,"sent":3,"received":4}]"#,
                #""draining":0,"#, #""associations_per_source":0,"#, #""lookups":0}"#,
            ] {
                #expect(text.contains(part), "\(part) isn't in \(text)")
            }
        }
    }

    @Test func historyGoesOnBySecondsAndOnlyTheNewOnesAreSent() async throws {
        try await withAdmin { rig in
            try eventually("two seconds") { try rig.history("").count >= 2 }
            let from = try rig.from("")
            #expect(from > 1_700_000_000)
            #expect(try rig.from("?since=\(from)") == from + 1)
            #expect(try rig.history("?since=\(from + 1_000_000)").isEmpty)
            try rig.expect(400, "GET /status.json?since=yesterday")
            try rig.expect(405, "DELETE /status.json")
        }
    }

    /// A browser has no token before it has loaded the page.
    @Test func withoutTheTokenThePageIsThereAndTellsNothing() async throws {
        try await withAdmin(token: Self.token) { rig in
            let target = try TestListener()
            defer { target.close() }
            let client = try TestSocket.tunnel(through: rig.proxyPort, to: .loopback(target.port))
            defer { client.close() }
            let own = try rig.ask("GET /", "Authorization: Bearer \(Self.token)")
            #expect(own.text.contains(":\(target.port)<") && own.text.contains("Running"))
            for field in ["X: y", "Authorization: Bearer 0123456789abcdee"] {
                let foreign = try rig.ask("GET /", field)
                #expect(foreign.status == 200 && foreign.headers["content-security-policy"] != nil)
                for part in ["\(target.port)", "\(rig.proxyPort)", ProxyServer.libuvVersion] {
                    #expect(!foreign.text.contains(part), "\(part)")
                }
                try rig.expect(401, "GET /status.json", field)
                try rig.expect(405, "POST /", field)
            }
        }
    }

    @Test func foreignHostGetsNoPage() async throws {
        try await withAdmin { rig in try rig.expect(403, "GET /", "Host: example.com") }
    }
}

extension AdminRig {
    /// The received bytes of each second.
    fileprivate func history(_ query: String) throws -> [Substring] {
        let text = try ask("GET /status.json\(query)").text
        return text.split(separator: "\"history\":").last?.split(separator: "\"received\":[").last?
            .prefix { $0 != "]" }.split(separator: ",") ?? []
    }

    fileprivate func from(_ query: String) throws -> Int {
        let text = try ask("GET /status.json\(query)").text
        return text.split(separator: "\"from\":").last.flatMap { Int($0.prefix { $0 != "," }) } ?? -1
    }
}
