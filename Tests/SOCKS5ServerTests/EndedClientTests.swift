import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// Clients that end their direction before they are answered.
@Suite struct EndedClientTests {
    private static let greeting = Greeting(methods: [.noAuthentication]).encoded
    private static let little = [UInt8](repeating: 7, count: 1)
    private static let much = [UInt8](repeating: 7, count: 100 << 10)

    /// More than the server reads ahead, or a byte; either with the request, or after its answer.
    @Test(arguments: [SOCKSCommand.bind, .udpAssociate], [little, much])
    func anEndAlwaysEndsABindOrAnAssociation(
        _ command: SOCKSCommand,
        _ bytes: [UInt8]
    ) async throws {
        try await withServerObject { server, port in
            var begun: UInt64 = 0
            for isPipelined in [true, false] {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                let request = SOCKSRequest(command: command, destination: .loopback(0)).encoded
                try socket.send(Self.greeting + request + (isPipelined ? bytes : []))
                if !isPipelined {
                    _ = try socket.receive(2 + 10)
                    try socket.send(bytes)
                }
                socket.endSending()
                begun += 1
                try eventually("the session has begun") { server.statistics[.accepted] == begun }
                try eventually(within: 5, "the session is over") { server.statistics.active == 0 }
            }
        }
    }

    private struct SlowRules: RuleSet {
        func permits(_ target: RuleRequest) -> Bool { true }

        func decide(_ request: RuleRequest) -> RuleAnswer {
            .later {
                try? await Task.sleep(for: .milliseconds(500))
                return .allowed
            }
        }
    }

    @Test func theEndOfABindIsSeenWhileItsRulesAreAsked() async throws {
        try await withServerObject({ $0.ruleSet = SlowRules() }) { server, port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            let request = SOCKSRequest(command: .bind, destination: .loopback(0)).encoded
            try socket.send(Self.greeting + request + Self.little)
            socket.endSending()
            try eventually("the session has begun") { server.statistics[.accepted] == 1 }
            try eventually(within: 5, "the session is over") { server.statistics.active == 0 }
        }
    }

    private struct SlowStore: CredentialStore {
        func verify(_ login: Login) -> LoginAnswer {
            .later {
                try? await Task.sleep(for: .milliseconds(500))
                return .accepted
            }
        }
    }

    @Test(arguments: [SOCKSCommand.bind, .udpAssociate])
    func theEndAfterALoginUnderCheckEndsABindToo(_ command: SOCKSCommand) async throws {
        try await withServerObject({ $0.credentialStore = SlowStore() }) { server, port in
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            let login = Credentials(username: "alice", password: "secret").encoded
            let request = SOCKSRequest(command: command, destination: .loopback(0)).encoded
            try socket.send(Greeting(methods: [.usernamePassword]).encoded + login + request + Self.little)
            socket.endSending()
            try eventually("the session has begun") { server.statistics[.accepted] == 1 }
            try eventually(within: 5, "the session is over") { server.statistics.active == 0 }
        }
    }

    @Test(arguments: [little, much])
    func anEndAfterEarlyDataCountsAsAHandshakeUntilThereIsAnAnswer(_ bytes: [UInt8]) async throws {
        try await withServerObject({
            $0.limits.handshakesPerSource = 2
            $0.timeouts.dial = .seconds(2)
        }) { server, port in
            let hole = try Blackhole()
            defer { hole.close() }
            let request = SOCKSRequest(command: .connect, destination: .loopback(hole.port)).encoded
            let dialling = try (0..<2).map { _ in
                let socket = try TestSocket(connectingTo: port)
                try socket.send(Self.greeting + request + bytes)
                socket.endSending()
                return socket
            }
            // Longer than the turn in which an end after unread bytes is noticed.
            usleep(600_000)
            let refused = try TestSocket(connectingTo: port)
            try refused.waitForClose()
            #expect(server.statistics.refusals(.handshakesPerSource) == 1)
            for socket in dialling {
                #expect(try socket.receiveToEnd().count == 12)
                socket.close()
            }
            refused.close()
            let next = try TestSocket(connectingTo: port)
            try next.send(Self.greeting)
            #expect(try next.receive(2) == [5, 0])
            next.close()
        }
    }
}
