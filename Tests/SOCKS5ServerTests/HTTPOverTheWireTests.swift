import ProxyPolicy
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

private let established = "HTTP/1.1 200 Connection established\r\n\r\n"
private let alice = ProxyUser(name: "alice", password: "secret")
/// alice:secret and alice:wrong
private let right = "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n"
private let wrong = "Proxy-Authorization: Basic YWxpY2U6d3Jvbmc=\r\n"

/// HTTP CONNECT, if a listener allows it.
@Suite struct HTTPOverTheWireTests {
    private func withProxy(
        _ configure: (inout Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (_ port: Int, _ sessions: RecordedSessions) throws -> Void
    ) async throws {
        try await withRecordedProxy([.socks5, .http], configure, body)
    }

    private static func request(_ target: String, _ fields: String = "") -> [UInt8] {
        Array("CONNECT \(target) HTTP/1.1\r\nHost: \(target)\r\n\(fields)\r\n".utf8)
    }

    /// The status of the answer, which is followed by the end.
    private static func status(of bytes: [UInt8], through port: Int) throws -> Int? {
        let client = try TestSocket(connectingTo: port)
        defer { client.close() }
        try client.send(bytes)
        let text = String(decoding: try client.receiveToEnd(), as: UTF8.self)
        return text.hasPrefix("HTTP/1.1 ") ? Int(text.dropFirst(9).prefix(3)) : nil
    }

    @Test(arguments: [nil, right]) func aTunnelAcceptsPayloadAfterTheRequest(_ login: String?) async throws {
        try await withProxy({ $0.users = login == nil ? [] : [alice] }) { port, sessions in
            let listener = try TestListener()
            defer { listener.close() }
            let request = Self.request("here.example:\(listener.port)", login ?? "")
            for (index, cut) in [0, 1, request.count / 2, request.count - 1, request.count].enumerated() {
                let bytes = request + Array("payload".utf8)
                let client = try TestSocket(connectingTo: port)
                if cut > 0 { try client.send(Array(bytes[..<cut])) }
                try client.send(Array(bytes[cut...]))
                #expect(try client.receive(established.utf8.count) == Array(established.utf8))
                let target = try listener.accept()
                #expect(try target.receive(7) == Array("payload".utf8), "cut at \(cut)")
                try target.send([1, 2, 3])
                #expect(try client.receive(3) == [1, 2, 3])
                target.close()
                try client.waitForClose()
                client.close()
                let info = try sessions.next(after: index)
                #expect(info.protocol == .http && info.command == .connect && info.outcome == .completed)
                #expect(info.method == (login == nil ? SessionInfo.Method.none : .password))
                #expect(info.user == (login == nil ? nil : Array("alice".utf8)))
            }
        }
    }

    @Test func requestsAreCountedByTheirProtocol() async throws {
        try await withServerObject({ $0.listeners[0].protocols = Set(ProxyProtocol.allCases) }) {
            server,
            port in
            let listener = try TestListener()
            defer { listener.close() }
            try expect(.succeeded, through: port, to: .loopback(listener.port))
            for request in [
                SOCKS4Request(command: .connect, destination: .loopback(listener.port)).encoded,
                Self.request("127.0.0.1:\(listener.port)"), Self.request("127.0.0.1:\(listener.port)"),
            ] {
                let client = try TestSocket(connectingTo: port)
                defer { client.close() }
                try client.send(request)
                _ = try client.receive(1)
            }
            #expect(ProxyProtocol.allCases.map { server.statistics[$0.requests] } == [1, 1, 2])
        }
    }

    @Test func eachFailureHasItsStatus() async throws {
        let deaf = TestListener.unusedPort()
        try await withProxy({ $0.rules = [Rule(.deny, ports: [PortRange(9)])] }) { port, sessions in
            let cases: [([UInt8], Int, SessionInfo.Outcome)] = [
                (Self.request("127.0.0.1:\(deaf)"), 502, .connectionRefused),
                (Self.request("127.0.0.1:9"), 403, .deniedByRule),
                (Self.request("no.example:80"), 502, .nameNotFound),
                (Self.request("a\\111:80"), 502, .badDestination),
                (Self.request("127.0.0.1:0"), 400, .badRequest),
                (Array("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n".utf8), 405, .commandNotSupported),
                (Self.request("a:1", "Content-Length: 3\r\n") + [1, 2, 3], 400, .badRequest),
                (Array("CONNECT \(String(repeating: "a", count: 100_000))".utf8), 431, .badRequest),
            ]
            for (index, (bytes, status, outcome)) in cases.enumerated() {
                #expect(try Self.status(of: bytes, through: port) == status, "\(outcome)")
                let info = try sessions.next(after: index)
                #expect(info.outcome == outcome && info.protocol == .http)
            }
        }
    }

    @Test func aMissingLoginIsAskedForAndCountsAsNoFailure() async throws {
        var ban = LoginBan()
        ban.failures = 1
        let bans = ban
        try await withProxy({
            $0.users = [alice]
            $0.loginBan = bans
        }) { port, sessions in
            let listener = try TestListener()
            defer { listener.close() }
            let target = "127.0.0.1:\(listener.port)"
            for index in 0..<3 {
                #expect(try Self.status(of: Self.request(target), through: port) == 407)
                #expect(try sessions.next(after: index).outcome == .noAcceptableMethod)
            }
            let digest = Self.request(target, "Proxy-Authorization: Digest a=b\r\n")
            #expect(try Self.status(of: digest, through: port) == 407)
            #expect(!listener.hasConnection)
        }
    }

    /// The same store, and the same ban, as for SOCKS5.
    @Test(arguments: [wrong, "Proxy-Authorization: Basic YWxpY2U=\r\n"])
    func aWrongLoginIsRefusedAndBanned(_ login: String) async throws {
        var ban = LoginBan()
        ban.failures = 2
        let bans = ban
        try await withProxy({
            $0.users = [alice]
            $0.loginBan = bans
        }) { port, sessions in
            let listener = try TestListener()
            defer { listener.close() }
            let request = Self.request("127.0.0.1:\(listener.port)", login)
            for index in 0..<2 {
                #expect(try Self.status(of: request, through: port) == 407)
                #expect(try sessions.next(after: index).outcome == .loginFailed)
            }
            #expect(!listener.hasConnection)
            let banned = try TestSocket(connectingTo: port)
            defer { banned.close() }
            try banned.waitForClose()
            #expect(sessions.ended.count == 2)
        }
    }

    @Test func aPasswordOrATargetIsNotRepeatedInAnAnswer() async throws {
        try await withProxy({ $0.users = [alice] }) { port, _ in
            for bytes in [
                Self.request("<script>.example:80", wrong), Self.request("no.example:80", right),
                Self.request("<script>", right),
            ] {
                let client = try TestSocket(connectingTo: port)
                defer { client.close() }
                try client.send(bytes)
                let answer = String(decoding: try client.receiveToEnd(), as: UTF8.self)
                for text in ["script", "alice", "secret", "wrong", "YWxpY2U6", "no.example"] {
                    #expect(!answer.contains(text))
                }
            }
        }
    }

    // MARK: - Where it isn't allowed

    @Test(arguments: ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n", "POST "])
    func anHTTPClientLearnsThatThisIsASOCKSProxy(_ text: String) async throws {
        try await withProxy({ $0.listeners[0].protocols = [.socks5] }) { port, sessions in
            let client = try TestSocket(connectingTo: port)
            for byte in text.utf8 { try client.send([byte]) }
            let answer = String(decoding: try client.receiveToEnd(), as: UTF8.self)
            #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            #expect(answer.hasSuffix("\r\n\r\nThis is a SOCKS proxy. It does not speak HTTP.\n"))
            client.close()
            let info = try sessions.next(after: 0)
            #expect(info.outcome == .notSOCKS5 && info.reason == "looks like HTTP" && info.protocol == nil)
        }
    }

    @Test(arguments: ["GETS / HTTP/1.1\r\n", "SSH-2.0-OpenSSH\r\n", "get / HTTP/1.1\r\n", "PROXY TCP4\r\n"])
    func otherTextIsClosedWithoutAWord(_ text: String) async throws {
        try await withProxy({ $0.listeners[0].protocols = [.socks5] }) { port, _ in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(Array(text.utf8))
            #expect((try? client.receiveToEnd()) ?? [] == [])
        }
    }

    @Test func theAnswerMayBeSwitchedOff() async throws {
        try await withProxy({
            $0.listeners[0].protocols = [.socks5]
            $0.answersHTTP = false
        }) { port, sessions in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
            #expect((try? client.receiveToEnd()) ?? [] == [])
            #expect(try sessions.next(after: 0).reason == "looks like HTTP")
        }
    }
}
