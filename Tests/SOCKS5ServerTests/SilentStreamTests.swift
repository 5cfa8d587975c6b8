import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// Ends of streams that the server doesn't read, which no event reports.
@Suite struct SilentStreamTests {
    enum Side: CaseIterable, Sendable { case client, target }
    enum Cause: CaseIterable, Sendable { case room, bandwidth }

    /// The reset of the other side arrives here, although there are many unread bytes before it.
    private static func expectReset(of socket: TestSocket) throws {
        try eventually(within: 5, "the reset is passed on") { socket.isReset }
    }

    private static let little = [UInt8](repeating: 9, count: 64 << 10)

    /// Sends until nothing is accepted for a while.
    private static func stall(_ sockets: [TestSocket]) throws {
        var quietSince = monotonicMilliseconds()
        try eventually("all senders stall") {
            for socket in sockets where try socket.sendSome(little) > 0 {
                quietSince = monotonicMilliseconds()
            }
            return monotonicMilliseconds() - quietSince > 300
        }
    }

    @Test(arguments: Side.allCases, Cause.allCases)
    func aResetIsSeenThoughThatSideIsNotRead(_ resetting: Side, _ cause: Cause) async throws {
        for splicing in cause == .room ? Splicing.allCases : [.bulk] {
            try await withServerObject({
                $0.splicing = splicing
                if cause == .bandwidth { $0.limits.bandwidthPerConnection = 1024 }
            }) { server, port in
                let listener = try TestListener()
                defer { listener.close() }
                let pairs = try (0..<20).map { _ in
                    (
                        try TestSocket.tunnel(through: port, to: .loopback(listener.port)),
                        try listener.accept()
                    )
                }
                let senders = pairs.map { resetting == .client ? $0 : $1 }
                let others = pairs.map { resetting == .client ? $1 : $0 }
                // So that no check is due from the time of dialling.
                usleep(400_000)
                try Self.stall(senders)
                for sender in senders { sender.reset() }
                for other in others { try Self.expectReset(of: other) }
                try eventually(within: 5, "no session is left") { server.statistics.active == 0 }
                for other in others { other.close() }
            }
        }
    }

    @Test(arguments: Side.allCases)
    func aResetAfterTheEndOfThatSideIsStillPassedOn(_ resetting: Side) async throws {
        let leave: @Sendable (TestSocket) throws -> Void = { socket in
            usleep(400_000)
            try socket.send([1])
            socket.endSending()
            _ = try socket.receive(1)
            socket.reset()
        }
        let stay: @Sendable (TestSocket) throws -> Void = { socket in
            #expect(try socket.receiveToEnd() == [1])
            try socket.send([2])
            try Self.expectReset(of: socket)
        }
        try await withRelay(
            client: resetting == .client ? leave : stay,
            target: resetting == .client ? stay : leave
        )
    }

    @Test func anEndAfterUnreadBytesIsNoReset() async throws {
        let bytes = SeededGenerator.pattern(32 << 20)
        try await withServer { port in
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
            let target = try listener.accept()
            defer {
                client.close()
                target.close()
            }
            let sending = TestThread {
                try client.send(bytes)
                client.endSending()
            }
            // Longer than it would take to notice a reset.
            sleep(2)
            #expect(try target.receiveToEnd() == bytes)
            try sending.join()
            try target.send([1])
            #expect(try client.receive(1) == [1])
        }
    }

    @Test func aResetAfterTheEndOfEarlyDataIsSeenWhileDialling() async throws {
        try await withServerObject { server, port in
            let hole = try Blackhole()
            defer { hole.close() }
            let socket = try TestSocket(connectingTo: port)
            let request = SOCKSRequest(command: .connect, destination: .loopback(hole.port)).encoded
            try socket.send(Greeting(methods: [.noAuthentication]).encoded + request + [1])
            socket.endSending()
            _ = try socket.receive(2)
            // The end has come by now.
            usleep(100_000)
            #expect(server.statistics.active == 1)
            socket.reset()
            try eventually(within: 5, "the session is gone") { server.statistics.active == 0 }
        }
    }

    private struct SlowStore: CredentialStore {
        func verify(_ login: Login) -> LoginAnswer {
            .later {
                try? await Task.sleep(for: .seconds(60))
                return .unavailable
            }
        }
    }

    @Test func aResetAfterUnreadBytesIsSeenWhileALoginIsChecked() async throws {
        let configure = { (configuration: inout Configuration) in
            configuration.credentialStore = SlowStore()
            configuration.timeouts.handshake = .seconds(60)
        }
        try await withServerObject(configure) { server, port in
            let socket = try TestSocket(connectingTo: port)
            try socket.send(Greeting(methods: [.usernamePassword]))
            try socket.send(Credentials(username: "alice", password: "secret"))
            try Self.stall([socket])
            #expect(server.statistics.active == 1)
            socket.reset()
            try eventually(within: 5, "the session is gone") { server.statistics.active == 0 }
        }
    }
}
