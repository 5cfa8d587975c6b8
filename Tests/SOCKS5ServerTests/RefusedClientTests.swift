import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// Clients that continue to send after a refusal.
@Suite struct RefusedClientTests {
    enum Refusal: CaseIterable, Sendable { case method, command, target, login, lateLogin }

    /// The client's bytes, and the complete answer.
    private static func exchange(_ refusal: Refusal, _ deadPort: Int) -> (sent: [UInt8], answer: [UInt8]) {
        let open = Greeting(methods: [.noAuthentication]).encoded
        let login = Greeting(methods: [.usernamePassword]).encoded
        let wrong = Credentials(username: "alice", password: "wrong").encoded
        let connect = SOCKSRequest(command: .connect, destination: .loopback(deadPort)).encoded
        let right = Credentials(username: "alice", password: "secret").encoded
        return switch refusal {
        case .method: (open, [5, 0xff])
        case .command: (login + right + [5, 9, 0, 1], [5, 2, 1, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0])
        case .target: (login + right + connect, [5, 2, 1, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0])
        case .login, .lateLogin: (login + wrong, [5, 2, 1, 1])
        }
    }

    private static func withRefusal(
        _ refusal: Refusal,
        _ body: @escaping @Sendable (TestSocket, _ answer: [UInt8]) throws -> Void
    ) async throws {
        try await withServer({ $0.users = users("alice") }) { port in
            let deadPort = TestListener.unusedPort()
            for _ in 0..<(refusal == .lateLogin ? 10 : 0) {
                let socket = try TestSocket(connectingTo: port)
                try socket.send(exchange(.login, deadPort).sent)
                #expect(try socket.receiveToEnd() == [5, 2, 1, 1])
                socket.close()
            }
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            let (sent, answer) = exchange(refusal, deadPort)
            try socket.send(sent)
            try body(socket, answer)
        }
    }

    @Test(arguments: Refusal.allCases)
    func theAnswerIsReadThough100KiBFollowTheRequest(_ refusal: Refusal) async throws {
        try await Self.withRefusal(refusal) { socket, answer in
            try socket.send([UInt8](repeating: 7, count: 100 << 10))
            #expect(try socket.receiveToEnd() == answer)
        }
    }

    @Test(arguments: Refusal.allCases)
    func aClientThatSendsOnIsResetBeforeItsTimeIsOver(_ refusal: Refusal) async throws {
        try await Self.withRefusal(refusal) { socket, _ in
            let began = monotonicMilliseconds()
            let bytes = [UInt8](repeating: 7, count: 64 << 10)
            try eventually("a reset") {
                _ = try? socket.sendSome(bytes)
                return socket.isReset
            }
            // A client that stays is closed after five seconds.
            #expect(monotonicMilliseconds() - began < 3000)
        }
    }
}
