import Locks
import SOCKS5Protocol
import TestSupport
import Testing

@testable import ProxyPolicy
@testable import SOCKS5Server

/// The control methods of a running server.
@Suite struct ControlTests {
    private func logIn(
        _ name: String,
        through port: Int,
        to target: Destination
    ) throws -> TestSocket {
        let socket = try TestSocket(connectingTo: port)
        try socket.send(Greeting(methods: [.usernamePassword]))
        _ = try socket.receive(MethodSelection.self)
        try socket.send(Credentials(username: name, password: "secret"))
        _ = try socket.receive(AuthenticationStatus.self)
        try socket.send(SOCKSRequest(command: .connect, destination: target))
        let response = try socket.receive(SOCKSResponse.self)
        guard response.reply == .succeeded else { throw TestFailure("reply \(response.reply)") }
        return socket
    }

    // MARK: - Sessions

    @Test func sessionIsEndedByItsNumberAndNoOther() async throws {
        try await withServerObject { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let clients = try (0..<2).map { _ in
                try TestSocket.tunnel(through: port, to: .loopback(listener.port))
            }
            defer { for client in clients { client.close() } }
            let targets = try (0..<2).map { _ in try listener.accept() }
            defer { for target in targets { target.close() } }
            let sessions = try awaited { await server.sessions() }
            let port = UInt16(clients[0].localPort)
            let first = try #require(sessions.first { $0.client == Peer(.ipv4(.loopback), port: port) })

            #expect(try awaited { await server.end(first.id) })
            try clients[0].expectReset()
            try clients[1].send([7])
            try eventually("the other one goes on") {
                targets.contains { $0.isReadable(atLeast: 1) && !$0.isReset }
            }
            #expect(try awaited { await server.end([first.id, 12345]) } == 0)

            let ended = try awaited { await server.recentSessions() }
            #expect(ended.map(\.id) == [first.id])
            #expect(ended.first?.outcome == .endedByAdmin && ended.first?.endedBy == .admin)
        }
    }

    @Test func sessionsInEachStageCanBeEnded() async throws {
        try await withServerObject { server, port in
            let silent = try TestSocket(connectingTo: port)
            defer { silent.close() }
            let greeted = try TestSocket(connectingTo: port)
            defer { greeted.close() }
            try greeted.send(Greeting(methods: [.noAuthentication]))
            _ = try greeted.receive(MethodSelection.self)
            let awaiting = try TestSocket(connectingTo: port)
            defer { awaiting.close() }
            _ = try awaiting.request(.bind, Destination(host: .ipv4(IPv4Address(0, 0, 0, 0)), port: 0))
            try eventually("all are there") { server.statistics.active == 3 }
            let all = Set(try awaited { await server.sessions() }.map(\.id))
            #expect(try awaited { await server.end(all) } == 3)
            for socket in [silent, greeted, awaiting] { try socket.waitForClose() }
        }
    }

    @Test func lastSessionsAreListedTheNewestFirst() async throws {
        try await withServerObject { server, port in
            let count = RecentSessions.capacity + 30
            for _ in 0..<count { try expect(.connectionRefused, through: port, to: .loopback(1)) }
            // A health check isn't listed.
            let probe = try TestSocket(connectingTo: port)
            probe.close()
            try eventually("all have ended") { server.statistics[.ended] == count + 1 }
            let ended = try awaited { await server.recentSessions() }
            #expect(ended.count == RecentSessions.capacity)
            #expect(ended.allSatisfy { $0.outcome == .connectionRefused })
            let moments = ended.map(\.moment.milliseconds)
            #expect(moments == moments.sorted(by: >))
        }
    }

    // MARK: - What new users and rules refuse

    @Test func sessionsThatNewUsersOrRulesRefuseAreEnded() async throws {
        let users = ["alice", "bob", "carol"].map { ProxyUser(name: $0, password: "secret") }
        try await withServerObject({ $0.users = users }) { server, port in
            let open = try TestListener()
            let closed = try TestListener()
            defer {
                open.close()
                closed.close()
            }
            let alice = try logIn("alice", through: port, to: .loopback(open.port))
            let bob = try logIn("bob", through: port, to: .loopback(open.port))
            let carol = try logIn("carol", through: port, to: .loopback(closed.port))
            defer { for socket in [alice, bob, carol] { socket.close() } }
            #expect(try awaited { await server.endRefused() } == 0)

            var next = Configuration()
            next.users = Array(users.dropFirst())
            next.rules = [Rule(.deny, ports: [try PortRange(parsing: "\(closed.port)")])]
            try server.reload(next)
            #expect(try awaited { await server.endRefused() } == 2)
            try alice.expectReset()
            try carol.expectReset()
            let left = try awaited { await server.sessions() }
            #expect(left.map(\.user) == [Array("bob".utf8)])
            let ended = try awaited { await server.recentSessions() }
            #expect(ended.allSatisfy { $0.outcome == .revoked && $0.endedBy == .reload })
        }
    }

    @Test func sessionsWithoutALoginAreEndedIfOneIsNowRequired() async throws {
        try await withServerObject { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
            defer { client.close() }
            var next = Configuration()
            next.users = [ProxyUser(name: "alice", password: "secret")]
            try server.reload(next)
            #expect(try awaited { await server.endRefused() } == 1)
            try client.expectReset()
        }
    }

    /// A login in progress is checked against the current users. This store accepts everyone, and later revokes some.
    private final class ForgetfulStore: CredentialStore {
        let asked = Guarded<[Set<[UInt8]>]>([])
        let gone = Guarded<Set<[UInt8]>>([])

        func verify(_ login: Login) -> LoginAnswer { .now(.accepted) }

        func revoked(among users: Set<[UInt8]>) async -> Set<[UInt8]> {
            asked.withLock { $0.append(users) }
            return gone.withLock { $0 }
        }
    }

    @Test func sessionsOfUsersWhomAStoreHasForgottenAreEnded() async throws {
        let store = ForgetfulStore()
        try await withServerObject({ $0.credentialStore = store }) { server, port in
            #expect(try awaited { await server.endRefused() } == 0)
            #expect(store.asked.withLock { $0.isEmpty })
            let listener = try TestListener()
            defer { listener.close() }
            let clients = try ["alice", "bob", "alice"].map {
                try logIn($0, through: port, to: .loopback(listener.port))
            }
            defer { for client in clients { client.close() } }
            #expect(try awaited { await server.endRefused() } == 0)
            store.gone.withLock { $0 = [Array("alice".utf8), Array("carol".utf8)] }
            #expect(try awaited { await server.endRefused() } == 2)
            let names: Set = [Array("alice".utf8), Array("bob".utf8)]
            #expect(store.asked.withLock { $0 } == [names, names])
            for client in [clients[0], clients[2]] { try client.expectReset() }
            try eventually("bob's is left") { server.statistics.active == 1 }
            let ended = try awaited { await server.recentSessions() }
            #expect(ended.map(\.outcome) == [.revoked, .revoked])
        }
    }

    @Test func removedUserDoesNotComeInByAHandshakeThatHadBegun() async throws {
        let users = ["alice", "bob"].map { ProxyUser(name: $0, password: "secret") }
        try await withServerObject({ $0.users = users }) { server, port in
            let early = try TestSocket(connectingTo: port)
            defer { early.close() }
            try early.send(Greeting(methods: [.usernamePassword]))
            _ = try early.receive(MethodSelection.self)
            var next = Configuration()
            next.users = Array(users.dropFirst())
            try server.reload(next)
            #expect(try awaited { await server.endRefused() } == 0)
            try early.send(Credentials(username: "alice", password: "secret"))
            let status = try early.receive(AuthenticationStatus.self)
            #expect(!status.succeeded)
        }
    }

    // MARK: - Drain

    @Test func drainTakesNoClientsEndsTheIdleOnesAndCanBeCancelled() async throws {
        try await withServerObject { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
            defer { client.close() }
            #expect(server.stage == .running)
            #expect(server.drain(within: .seconds(600)) && server.stage == .draining)
            try eventually("new clients are closed at once") {
                let other = try TestSocket(connectingTo: port)
                defer { other.close() }
                return (try? other.receiveToEnd()) != nil || other.isReset
            }
            #expect(server.statistics[.refusedWhileDraining] > 0)
            #expect(server.statistics.active == 1)

            #expect(server.cancelDrain() && server.stage == .running && !server.cancelDrain())
            try eventually("clients are served") {
                (try? expect(.connectionRefused, through: port, to: .loopback(1))) != nil
            }

            #expect(server.drain(within: .milliseconds(50)))
            try client.expectReset()
            #expect(server.stage == .draining)
        }
        let server = try ProxyServer(configuration: Configuration(), logger: suiteLogger)
        #expect(!server.drain() && !server.cancelDrain())
    }

    @Test func drainEndsTheLongestIdleFirstAndAllInTime() {
        let plan = DrainPlan(.seconds(8))
        let sessions = (0..<80).map { (id: UInt64($0), idle: Duration.seconds($0)) }
        #expect(plan.next(of: sessions, .zero).isEmpty)
        var left = sessions
        var order: [UInt64] = []
        for second in 1...8 {
            let ids = plan.next(of: left, .seconds(second))
            order += ids
            left.removeAll { ids.contains($0.id) }
            #expect(ids.count == 10, "second \(second)")
        }
        #expect(left.isEmpty && order == (0..<80).reversed().map { UInt64($0) })
        #expect(DrainPlan(.zero).next(of: sessions, .zero).count == 80)
        #expect(DrainPlan(.seconds(60)).next(of: [(1, .zero)], .seconds(30)).isEmpty)
    }

    // MARK: - Bans, quotas, names

    @Test func bansAreListedAndLifted() async throws {
        var ban = LoginBan()
        ban.failures = 2
        ban.duration = .seconds(600)
        try await withServerObject({
            $0.users = [ProxyUser(name: "alice", password: "secret")]
            $0.loginBan = ban
        }) { server, port in
            #expect(server.bans().isEmpty && !server.liftBan(of: "127.0.0.1"))
            for _ in 0..<2 {
                let client = try TestSocket(connectingTo: port)
                try client.send(Greeting(methods: [.usernamePassword]))
                _ = try client.receive(MethodSelection.self)
                try client.send(Credentials(username: "alice", password: "wrong"))
                try client.waitForClose()
                client.close()
            }
            let bans = server.bans()
            #expect(bans.map(\.client) == ["127.0.0.1"])
            #expect(bans.allSatisfy { (.seconds(500)...(.seconds(600))).contains($0.remaining) })
            #expect(!server.liftBan(of: "127.0.0.2") && !server.liftBan(of: "nonsense"))
            #expect(server.liftBan(of: "127.0.0.1") && server.bans().isEmpty)
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(Greeting(methods: [.usernamePassword]))
            #expect(try client.receive(MethodSelection.self).method == .usernamePassword)
        }
    }

    @Test func sourcesAreNamedByTheirNetworks() throws {
        func text(_ address: String) throws -> String {
            ClientSource(Peer(try #require(IPAddress(address)), port: 1)).description
        }
        #expect(try text("192.0.2.1") == "192.0.2.1")
        #expect(try text("2001:db8::1:2:3:4") == "2001:db8::/64")
        #expect(ClientSource(.local(uid: 1)).description == "local")
    }

    @Test func aQuotaCanBeUsedAgainAfterAReset() async throws {
        try await withServerObject({
            $0.users = [ProxyUser(name: "alice", password: "secret")]
            $0.limits.user.quota = Quota(bytes: 1, period: .month)
        }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let target = Destination.loopback(listener.port)
            let name = Array("alice".utf8)
            #expect(!server.resetQuota(of: [1]) && server.usage(of: [1]) == nil)
            let first = try logIn("alice", through: port, to: target)
            try first.send([1, 2, 3])
            try first.waitForClose()
            first.close()
            try eventually("the session has ended") { server.usage(of: name)?.sessions == 0 }
            let usage = try #require(server.users().first)
            #expect(server.users().count == 1 && usage.user == name && usage.quota?.bytes == 1)
            #expect(usage.quotaUsed == 3 && usage.bytesClientToTarget == 3 && usage.bytesTargetToClient == 0)
            #expect(throws: TestFailure.self) { try logIn("alice", through: port, to: target) }
            #expect(server.resetQuota(of: name) && server.usage(of: name)?.quotaUsed == 0)
            try logIn("alice", through: port, to: target).close()
        }
    }

    @Test func namesAreForgotten() async throws {
        try await withServerObject { server, port in
            #expect(server.forgetNames() == 0)
            try expect(.connectionRefused, through: port, to: Destination(name: "localhost", port: 1))
            let forgotten = server.forgetNames()
            #expect(forgotten >= 1 && server.forgetNames() == 0)
        }
    }
}
