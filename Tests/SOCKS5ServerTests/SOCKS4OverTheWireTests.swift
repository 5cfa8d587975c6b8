import ProxyPolicy
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

private let granted: UInt8 = 0x5a
private let rejected: UInt8 = 0x5b
private let rejection: [UInt8] = [0, rejected, 0, 0, 0, 0, 0, 0]

/// SOCKS4 and SOCKS4a, if a listener allows them.
@Suite struct SOCKS4OverTheWireTests {
    private func withProxy(
        _ configure: (inout Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (_ port: Int, _ sessions: RecordedSessions) throws -> Void
    ) async throws {
        try await withRecordedProxy([.socks5, .socks4], configure, body)
    }

    private static func request(
        _ command: SOCKSCommand = .connect,
        _ destination: Destination,
        user: String = ""
    ) -> [UInt8] {
        SOCKS4Request(command: command, destination: destination, userID: Array(user.utf8)).encoded
    }

    /// The complete answer.
    private static func answer(to bytes: [UInt8], through port: Int) throws -> [UInt8] {
        let client = try TestSocket(connectingTo: port)
        defer { client.close() }
        try client.send(bytes)
        return try client.receiveToEnd()
    }

    @Test(arguments: [false, true]) func aRequestAndPayloadCutAtEveryOffsetReachTheTarget(_ isNamed: Bool)
        async throws
    {
        try await withProxy { port, _ in
            let listener = try TestListener()
            defer { listener.close() }
            let destination =
                isNamed ? Destination(name: "here.example", port: listener.port) : .loopback(listener.port)
            let request = Self.request(.connect, destination, user: "alice")
            let bytes = request + Array("payload".utf8)
            for cut in 0...request.count {
                let client = try TestSocket(connectingTo: port)
                defer { client.close() }
                if cut > 0 { try client.send(Array(bytes[..<cut])) }
                try client.send(Array(bytes[cut...]))
                let response = try client.receive(SOCKS4Response.self)
                let target = try listener.accept()
                defer { target.close() }
                #expect(response.code == .granted && response.boundAddress == .loopback)
                #expect(Int(response.port) == target.peerPort)
                #expect(try target.receive(7) == Array("payload".utf8), "cut at \(cut)")
                try target.send([1, 2, 3])
                #expect(try client.receive(3) == [1, 2, 3])
            }
        }
    }

    @Test func oneByteAtATimeSucceeds() async throws {
        try await withProxy { port, _ in
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            for byte in Self.request(.connect, .loopback(listener.port), user: "a") {
                try client.send([byte])
            }
            #expect(try client.receive(2) == [0, granted])
            try listener.accept().close()
        }
    }

    @Test func aBindHasTwoReplies() async throws {
        try await withProxy { port, _ in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(Self.request(.bind, .unspecified))
            let first = try client.receive(SOCKS4Response.self)
            #expect(first.code == .granted && first.boundAddress == .loopback)
            let peer = try TestSocket(connectingTo: Int(first.port))
            defer { peer.close() }
            let second = try client.receive(SOCKS4Response.self)
            #expect(second.code == .granted && second.boundAddress == .loopback)
            #expect(Int(second.port) == peer.localPort)
            try peer.send([7])
            #expect(try client.receive(1) == [7])
        }
    }

    @Test func aBindWithoutAPeerInTimeIsRejectedInItsSecondReply() async throws {
        try await withProxy({ $0.bind.timeout = .milliseconds(200) }) { port, _ in
            let answer = try Self.answer(to: Self.request(.bind, .unspecified), through: port)
            #expect(answer.count == 16 && answer[1] == granted && answer[8...] == rejection[...])
        }
    }

    @Test func eachFailureIsRejectedInEightBytes() async throws {
        let deaf = TestListener.unusedPort()
        try await withProxy({
            $0.rules = [Rule(.deny, ports: [PortRange(9)])]
        }) { port, sessions in
            let text = [UInt8](repeating: UInt8(ascii: "a"), count: 256)
            let cases: [([UInt8], SessionInfo.Outcome, String?)] = [
                (Self.request(.connect, .loopback(deaf)), .connectionRefused, nil),
                (Self.request(.connect, .loopback(9)), .deniedByRule, nil),
                (Self.request(.connect, Destination(name: "no.example", port: 80)), .nameNotFound, nil),
                (Self.request(.connect, Destination(name: "a\\111", port: 80)), .badDestination, nil),
                ([4, 1, 0, 80, 0, 0, 0, 1, 0, 0x61, 0x0a, 0], .badDestination, "name a\n"),
                ([4, 1, 0, 80, 0, 0, 0, 1, 0, 0], .badDestination, "empty name"),
                ([4, 1, 0, 0, 127, 0, 0, 1, 0], .badDestination, "port 0"),
                ([4, 3, 0, 80, 127, 0, 0, 1, 0], .commandNotSupported, "command 3"),
                ([4, 0xf0, 0, 80, 127, 0, 0, 1, 0], .commandNotSupported, "command 240"),
                ([4, 1, 0, 80, 127, 0, 0, 1] + text, .badRequest, "user ID too long"),
            ]
            for (index, (bytes, outcome, reason)) in cases.enumerated() {
                #expect(try Self.answer(to: bytes, through: port) == rejection, "\(bytes)")
                let info = try sessions.next(after: index)
                #expect(info.outcome == outcome && info.protocol == .socks4, "\(bytes)")
                if let reason { #expect(info.reason == reason) }
            }
        }
    }

    /// A message that never ends is answered when its limit is reached, and later bytes are drained.
    @Test func aRequestWithoutAnEndIsRejectedAtItsLimit() async throws {
        try await withProxy { (port, _) throws in
            let flood = [UInt8](repeating: UInt8(ascii: "a"), count: 100_000)
            #expect(try Self.answer(to: [4, 1, 0, 80, 0, 0, 0, 1, 0] + flood, through: port) == rejection)
        }
    }

    @Test func whereALoginIsRequiredEachRequestIsRejectedAndNothingIsDialled() async throws {
        let alice = ProxyUser(name: "alice", password: "secret")
        try await withProxy({ $0.users = [alice] }) { port, sessions in
            let listener = try TestListener()
            defer { listener.close() }
            let request = Self.request(.connect, .loopback(listener.port), user: "alice")
            #expect(try Self.answer(to: request + [1, 2, 3], through: port) == rejection)
            #expect(!listener.hasConnection)
            let info = try sessions.next(after: 0)
            #expect(info.outcome == .noAcceptableMethod && info.protocol == .socks4 && info.command == nil)
            // On the same listener, SOCKS5 requires the login as usual.
            let other = try TestSocket(connectingTo: port)
            defer { other.close() }
            try other.send(Greeting(methods: [.noAuthentication, .usernamePassword]))
            #expect(try other.receive(MethodSelection.self).method == .usernamePassword)
        }
    }

    /// It doesn't give a client the rules of the user with that name.
    @Test func theUserIDIsANameForRulesAndLogAndNoLogin() async throws {
        var alice = ProxyUser(name: "alice", password: "secret")
        alice.rules = [Rule(.allow)]
        try await withProxy({
            $0.users = [alice]
            $0.listeners[0].login = .never
            $0.rules = [Rule(.allow, users: ["bob"]), Rule(.deny)]
        }) { port, sessions in
            let listener = try TestListener()
            defer { listener.close() }
            for (index, (name, code)) in [("alice", rejected), ("bob", granted), ("", rejected)].enumerated()
            {
                let client = try TestSocket(connectingTo: port)
                try client.send(Self.request(.connect, .loopback(listener.port), user: name))
                #expect(try client.receive(2) == [0, code], "\(name)")
                client.close()
                let info = try sessions.next(after: index)
                #expect(info.user == (name.isEmpty ? nil : Array(name.utf8)))
                #expect(info.method == SessionInfo.Method.none)
            }
        }
    }

    @Test func whereItIsNotAllowedItIsClosedWithoutAWord() async throws {
        let request = Self.request(.connect, .loopback(80))
        try await withProxy({ $0.listeners[0].protocols = [.socks5] }) { (port, sessions) throws in
            #expect(try Self.answer(to: request, through: port) == [])
            #expect(try sessions.next(after: 0).reason == "looks like SOCKS4")
        }
        try await withProxy({ $0.listeners[0].protocols = [.socks4] }) { port, sessions in
            #expect(try Self.answer(to: [5, 1, 0], through: port) == [])
            let info = try sessions.next(after: 0)
            #expect(info.reason == "looks like SOCKS5" && info.outcome == .notSOCKS5 && info.protocol == nil)
        }
    }

    /// The reply has no room for an IPv6 address: 0.0.0.0 stands for the address that the client has connected to.
    @Test func anIPv6TargetIsReachedByItsName() async throws {
        try await withProxy { port, _ in
            let listener = try TestListener(host: "::1")
            defer { listener.close() }
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(Self.request(.connect, .loopback6(listener.port)))
            let response = try client.receive(SOCKS4Response.self)
            #expect(response.code == .granted && response.boundAddress == .any)
            try listener.accept().close()
        }
    }

    @Test func aListenerWithoutProtocolsIsRefused() {
        expectInvalid([{ $0.listeners[0].protocols = [] }]) { $0.contains("no protocol") }
    }
}
