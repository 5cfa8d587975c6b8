import Locks
import SOCKS5Protocol
import TestSupport
import Testing

@testable import ProxyPolicy
@testable import SOCKS5Server

/// The information about sessions, by the clients' behaviour.
@Suite struct SessionInfoTests {
    /// A server that knows one name, optionally one user, and one rule.
    private func withSessions(
        _ configure: (inout Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (RecordedSessions, Int) throws -> Void
    ) async throws {
        let sessions = RecordedSessions()
        let ports = PortRange(1...65534)
        try await withServerObject({
            $0.observer = sessions
            $0.nameResolver = OneName()
            $0.rules = [Rule(.allow, ports: [ports]), Rule(.deny)]
            configure(&$0)
        }) { _, port in try body(sessions, port) }
    }

    @Test func aRelayedSessionHasAllThatHappenedToIt() async throws {
        try await withSessions({ $0.users = [ProxyUser(name: "alice", password: "secret")] }) {
            sessions,
            port in
            let target = try TestListener()
            defer { target.close() }
            let client = try TestSocket(connectingTo: port)
            try client.send(Greeting(methods: [.usernamePassword]))
            try client.send(Credentials(username: "alice", password: "secret"))
            let name = try #require(DomainName("here.example"))
            let destination = Destination(host: .name(name), port: UInt16(target.port))
            try client.send(SOCKSRequest(command: .connect, destination: destination))
            _ = try client.receive(MethodSelection.self)
            _ = try client.receive(AuthenticationStatus.self)
            _ = try client.receive(SOCKSResponse.self)
            let far = try target.accept()
            try client.send([1, 2, 3])
            #expect(try far.receive(3) == [1, 2, 3])
            far.close()
            try client.waitForClose()
            client.close()
            let info = try sessions.next(after: 0)
            #expect(info.listener == "127.0.0.1:\(port)")
            #expect((0...1).contains(info.worker))
            #expect(info.protocol == .socks5 && info.method == .password && info.command == .connect)
            #expect(info.target?.description == "here.example:\(target.port)")
            #expect(info.address?.description == "127.0.0.1:\(target.port)")
            #expect(info.bound?.host == "127.0.0.1" && info.bound != info.address)
            #expect(info.reply == .succeeded && info.outcome == .completed && info.stage == .relay)
            #expect(info.endedBy == .target && info.rule == nil && info.reason == nil && info.error == nil)
            #expect(info.dialAttempts == 1 && info.datagrams == nil)
            let stages = [
                info.handshake, info.login, info.lookupWait, info.lookup, info.dial, info.ready, info.idle,
            ]
            for time in stages { #expect((Duration.zero...info.duration).contains(try #require(time))) }
        }
    }

    @Test(arguments: [
        ([0x47, 0x45, 0x54, 0x20, 0x2f], "looks like HTTP"), ([4, 1, 0, 80], "looks like SOCKS4"),
        ([0x16, 3, 1, 2], "looks like TLS"), (Array("PROXY TCP4".utf8), "looks like a PROXY header"),
        ([13, 10, 13, 10, 0, 13, 10], "looks like a PROXY header"), ([9], "version 9"),
    ])
    func anotherProtocolIsCalledByItsName(_ bytes: [UInt8], _ reason: String) async throws {
        try await withSessions { sessions, port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(bytes)
            // HTTP gets an answer, other protocols only the end.
            try client.waitForClose()
            client.close()
            let info = try sessions.next(after: 0)
            #expect(info.outcome == .notSOCKS5 && info.reason == reason && info.stage == .handshake)
            #expect(info.protocol == nil && info.reply == nil && info.handshake == nil && info.endedBy == nil)
        }
    }

    @Test(arguments: [
        ([5, 9, 0, 1], SessionInfo.Outcome.commandNotSupported, "command 9"),
        ([5, 1, 0, 2], .addressTypeNotSupported, "address type 2"),
        ([5, 1, 0, 3, 2, 0x61, 0x0a, 0, 80], .badDestination, "name a\n"),
        ([5, 1, 0, 3, 0, 0, 80], .badDestination, "empty name"),
        ([5, 1, 0, 1, 127, 0, 0, 1, 0, 0], .badDestination, "port 0"),
    ])
    func aRequestThatCanNotBeCarriedOutHasItsSubject(
        _ request: [UInt8],
        _ outcome: SessionInfo.Outcome,
        _ reason: String
    ) async throws {
        try await withSessions { sessions, port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(Greeting(methods: [.noAuthentication]))
            _ = try client.receive(MethodSelection.self)
            try client.send(request)
            let reply = try client.receive(SOCKSResponse.self).reply
            client.close()
            let info = try sessions.next(after: 0)
            #expect(info.outcome == outcome && info.reason == reason && info.reply == reply)
        }
    }

    @Test func eachWayToFailHasItsCode() async throws {
        let closed = TestListener.unusedPort()
        let allowed = try IPNetwork(parsing: "127.0.0.1")
        try await withSessions({
            $0.destinationGuard.mode = .on
            $0.destinationGuard.exceptions = [.network(allowed)]
        }) { sessions, port in
            let name = try #require(DomainName("nowhere.example"))
            let impossible = try #require(DomainName("a..b"))
            let guarded = Destination(host: .ipv4(IPv4Address(10, 0, 0, 1)), port: 80)
            let cases:
                [(Destination, SessionInfo.Outcome, SessionInfo.Stage, error: String?, saying: String?)] = [
                    (.loopback(closed), .connectionRefused, .dial, "ECONNREFUSED", nil),
                    (Destination(host: .name(name), port: 80), .nameNotFound, .lookup, "EAI_NONAME", nil),
                    (Destination(host: .name(impossible), port: 80), .badDestination, .policy, nil, nil),
                    (.loopback(65535), .deniedByRule, .policy, nil, "rule 2"),
                    (guarded, .deniedByGuard, .policy, nil, "private"),
                ]
            for (number, (destination, outcome, stage, error, saying)) in cases.enumerated() {
                let reply = try reply(through: port, to: destination)
                let info = try sessions.next(after: number)
                #expect(
                    info.outcome == outcome && info.stage == stage && info.reply == reply,
                    "\(destination)"
                )
                #expect(info.error == error && info.rule ?? info.reason == saying, "\(destination)")
                #expect((info.dial != nil) == (stage == .dial) && info.ready == nil && info.handshake != nil)
                #expect((info.lookup != nil) == (stage == .lookup), "\(destination)")
            }
        }
    }

    @Test func aClientThatSendsNothingIsAProbe() async throws {
        try await withSessions { sessions, port in
            for greets in [false, true] {
                let client = try TestSocket(connectingTo: port)
                if greets {
                    try client.send(Greeting(methods: [.noAuthentication]))
                    _ = try client.receive(MethodSelection.self)
                }
                client.close()
                let info = try sessions.next(after: greets ? 1 : 0)
                #expect(info.outcome == .probe && info.endedBy == .client)
                #expect(info.stage == (greets ? .handshake : .accepted))
            }
        }
    }

    @Test func failedLoginsAndMissingMethodsHaveTheirCodes() async throws {
        try await withSessions({ $0.users = [ProxyUser(name: "alice", password: "secret")] }) {
            sessions,
            port in
            let client = try TestSocket(connectingTo: port)
            try client.send(Greeting(methods: [.usernamePassword]))
            try client.send(Credentials(username: "alice", password: "wrong"))
            try client.waitForClose()
            client.close()
            let failed = try sessions.next(after: 0)
            #expect(failed.outcome == .loginFailed && failed.stage == .login && failed.login != nil)
            #expect(failed.user == nil && failed.method == .password)
            let other = try TestSocket(connectingTo: port)
            try other.send(Greeting(methods: [.noAuthentication]))
            try other.waitForClose()
            other.close()
            let refused = try sessions.next(after: 1)
            #expect(refused.outcome == .noAcceptableMethod && refused.stage == .handshake)
        }
    }

    @Test(arguments: [
        ([5, 1, 0], "methods 00"), ([5, 3, 0, 1, 0xa0], "methods 00, 01, a0"), ([5, 0], "no method"),
        ([5, 9] + [UInt8](0x80...0x88), "methods 80, 81, 82, 83, 84, 85, 86, 87, ..."),
        ([4, 1, 0, 80, 127, 0, 0, 1, 0], "no login"),
        (Array("CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n".utf8), "no login"),
    ])
    func aClientWithoutALoginIsRecognisedByItsMethods(_ bytes: [UInt8], _ reason: String) async throws {
        try await withSessions({
            $0.users = [ProxyUser(name: "alice", password: "secret")]
            $0.listeners[0].protocols = [.socks5, .socks4, .http]
        }) { sessions, port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(bytes)
            try client.waitForClose()
            client.close()
            let info = try sessions.next(after: 0)
            #expect(info.outcome == .noAcceptableMethod && info.reason == reason, "\(info.reason ?? "")")
        }
    }

    @Test func theLimitOfAssociationsIsNamed() async throws {
        try await withSessions({ $0.udp.associationsPerSource = 1 }) { sessions, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            try expect(.notAllowed, through: port, to: .unspecified, by: .udpAssociate)
            let info = try sessions.next(after: 0)
            #expect(info.outcome == .deniedByLimit && info.endedBy == .limit)
            #expect(info.reason == "associations of a source")
        }
    }

    @Test func theLimitOfWaitingNamesIsNamed() async throws {
        struct Silent: NameResolver {
            let gate = AnswerGate<ResolvedName>(cancelled: .unavailable)

            func resolve(_ name: String) -> ResolverAnswer { .later { [gate] in await gate.wait() } }
        }
        let (resolver, ended) = (Silent(), RecordedSessions())
        try await withServerObject({
            $0.observer = ended
            $0.nameResolver = resolver
            $0.resolver.lookupsPerSource = 1
            $0.resolver.waitingPerSource = 1
        }) { server, port in
            let clients = try (0..<2).map { number in
                let client = try TestSocket(connectingTo: port)
                try client.send(Greeting(methods: [.noAuthentication]))
                _ = try client.receive(MethodSelection.self)
                let destination = Destination(name: "\(number).example", port: 80)
                try client.send(SOCKSRequest(command: .connect, destination: destination))
                // Both would wait as long as the server isn't ready to look names up.
                try eventually("the first is being looked up") { resolver.gate.asked == 1 }
                return client
            }
            defer { for client in clients { client.close() } }
            try eventually("one waits behind the other") { server.metrics().lookups.waiting == 1 }
            try expect(.generalFailure, through: port, to: Destination(name: "2.example", port: 80))
            let info = try ended.next(after: 0)
            #expect(info.outcome == .deniedByLimit && info.endedBy == .limit && info.stage == .lookup)
            #expect(info.reason == "names that wait to be looked up" && info.error == "EAGAIN")
            try resolver.gate.open(.notFound)
            try resolver.gate.open(.notFound)
            for client in clients {
                #expect(try client.receive(SOCKSResponse.self).reply == .hostUnreachable)
            }
        }
    }

    @Test func anIdleSessionSaysForHowLongItWas() async throws {
        try await withSessions({ $0.timeouts.idle = .milliseconds(50) }) { sessions, port in
            let target = try TestListener()
            defer { target.close() }
            let client = try TestSocket.tunnel(through: port, to: .loopback(target.port))
            defer { client.close() }
            let info = try sessions.next(after: 0)
            #expect(info.outcome == .idleTimedOut && info.endedBy == .timeout && info.reason == "idle")
            #expect(try #require(info.idle) >= .milliseconds(50))
        }
    }

    @Test func theDatagramsOfAnAssociationAreCountedByResult() async throws {
        try await withSessions { sessions, port in
            let association = try TestAssociation(through: port)
            let target = try TestDatagramSocket()
            defer { target.close() }
            for _ in 0..<3 { try association.expectEcho(of: [1, 2], from: target) }
            try association.socket.send([1], to: association.bound)
            try association.expectEcho(of: [3], from: target)
            association.close()
            let info = try sessions.next(after: 0)
            let datagrams = try #require(info.datagrams)
            #expect(datagrams.clientToTarget == 4 && datagrams.targetToClient == 4)
            #expect(datagrams[.malformed] == 1 && datagrams.dropped == 1)
            #expect(info.command == .udpAssociate && info.target == nil && info.outcome == .completed)
            #expect(info.bound?.address == .ipv4(.loopback) && info.stage == .relay)
        }
    }

    @Test func wordsAreLowerCaseWithUnderscores() {
        let words =
            SessionInfo.Outcome.allCases.map(\.rawValue) + SessionInfo.Stage.allCases.map(\.rawValue)
            + SessionInfo.EndedBy.allCases.map(\.rawValue) + DatagramDrop.allCases.map(\.word)
        for word in words {
            #expect(
                word.utf8.allSatisfy { (0x61...0x7a).contains($0) || $0 == 0x5f || $0 == 0x35 },
                "\(word)"
            )
        }
    }

    /// It began by the clock of another worker's loop, which had read the time later.
    @Test func aSessionThatGoesOnWithAnotherWorkerHasNoTimeBeforeItsBegin() {
        let client = Peer(.ipv4(.loopback), port: 4711)
        var record = SessionRecord(id: 1, listener: ListenerName(0, "here"), client: client, began: 10)
        record.loginDidBegin(now: 8)
        record.loginDidEnd(now: 9)
        record.requestDidCome(SOCKSRequest(command: .udpAssociate, destination: .unspecified), now: 9)
        record.successDidGo(now: 9)
        let info = SessionInfo(record, now: 9)
        #expect(info.duration == .zero && info.handshake == .zero && info.ready == .zero)
    }

    @Test func timesAreKeptOnceAndNeverOverflow() {
        var times = SessionTimes()
        #expect(times.handshake == nil)
        times.noteHandshake(0)
        times.noteHandshake(5)
        #expect(times.handshake == 0)
        times.noteReady(.max)
        #expect(times.ready == UInt64(UInt32.max / 2 - 1))
        times.noteLoginEnd(7)
        #expect(times.login == nil)
        times.noteLoginBegin(3)
        times.noteLoginEnd(7)
        #expect(times.login == 4)
    }
}
