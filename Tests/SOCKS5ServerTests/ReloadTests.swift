import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server
@testable import UVLoop

/// The changes of `ProxyServer.reload(_:)` while clients are served, and what it leaves unchanged.
@Suite struct ReloadTests {
    private static func configuration(_ change: (inout Configuration) -> Void) -> Configuration {
        var configuration = Configuration()
        change(&configuration)
        return configuration
    }

    /// The next request sees it within a turn of the worker's loop.
    private static func expectEventually(_ expected: Reply, through proxy: Int, to target: Destination) throws
    {
        try eventually("reply \(expected)") { try reply(through: proxy, to: target) == expected }
    }

    @Test func theLastReloadDecidesTheRulesAndSessionsStay() async throws {
        try await withServerObject { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let target = Destination.loopback(listener.port)
            let client = try TestSocket.tunnel(through: port, to: target)
            defer { client.close() }
            let accepted = try listener.accept()
            defer { accepted.close() }

            try server.reload(Self.configuration { $0.rules = [Rule(.deny)] })
            try Self.expectEventually(.notAllowed, through: port, to: target)
            try client.send([1, 2])
            let received = try accepted.receive(2)
            #expect(received == [1, 2])

            try server.reload(Configuration())
            try Self.expectEventually(.succeeded, through: port, to: target)
        }
    }

    @Test func theNextDatagramOfAnAssociationIsJudgedByTheNewRules() async throws {
        try await withServerObject { server, port in
            let target = try TestDatagramSocket()
            defer { target.close() }
            let association = try TestAssociation(through: port)
            defer { association.close() }
            try association.expectEcho(of: [1], from: target)
            try server.reload(Self.configuration { $0.rules = [Rule(.deny, commands: [.udpAssociate])] })
            try eventually("a datagram is dropped") {
                try association.send([2], to: target.address)
                return server.statistics.datagramsDropped(.denied) > 0
            }
            try server.reload(Configuration())
            #expect(server.statistics.active == 1)
        }
    }

    @Test func usersComeAndGoAndTheMethodWithThem() async throws {
        try await withServerObject { server, port in
            func method() throws -> AuthenticationMethod {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                try socket.send(Greeting(methods: [.noAuthentication, .usernamePassword]))
                return try socket.receive(MethodSelection.self).method
            }
            // A handshake that began without a login ends without one.
            let early = try TestSocket(connectingTo: port)
            defer { early.close() }
            try eventually("it is accepted") { server.statistics.active == 1 }

            try server.reload(
                Self.configuration { $0.users = [ProxyUser(name: "alice", password: "one")] }
            )
            try eventually("a login is asked for") { try method() == .usernamePassword }
            try early.send(Greeting(methods: [.noAuthentication]))
            let selection = try early.receive(MethodSelection.self)
            #expect(selection.method == .noAuthentication)

            try server.reload(Configuration())
            try eventually("none is asked for") { try method() == .noAuthentication }
        }
    }

    @Test func aReloadChangesLimitsOnlyForNewSessions() async throws {
        try await withServerObject { server, port in
            let first = try TestSocket(connectingTo: port)
            defer { first.close() }
            try first.send(Greeting(methods: [.noAuthentication]))
            _ = try first.receive(MethodSelection.self)
            try server.reload(Self.configuration { $0.limits.connectionsPerSource = 1 })
            // The earlier session isn't counted; one of the new ones gets a place.
            var kept: [TestSocket] = []
            try eventually("one more is turned away") {
                let socket = try TestSocket(connectingTo: port)
                kept.append(socket)
                try socket.send(Greeting(methods: [.noAuthentication]))
                return (try? socket.receive(MethodSelection.self)) == nil
            }
            #expect(server.statistics.refusals(.connectionsPerSource) > 0)
            try server.reload(Configuration())
            try eventually("there is no limit") {
                let socket = try TestSocket(connectingTo: port)
                kept.append(socket)
                try socket.send(Greeting(methods: [.noAuthentication]))
                return (try? socket.receive(MethodSelection.self)) != nil
            }
            for socket in kept { socket.close() }
            try first.send(SOCKSRequest(command: .connect, destination: .loopback(1)))
            let response = try first.receive(SOCKSResponse.self)
            #expect(response.reply == .connectionRefused)
        }
    }

    @Test func aReloadThatCannotBeServedChangesNothing() async throws {
        func open(_ configuration: inout Configuration) {
            configuration.isOpen = true
            configuration.destinationGuard.mode = .off
            configuration.listen = (try? ListenAddress(parsing: "0.0.0.0:0")).map { [$0] } ?? []
        }
        try await withServerObject(open) { server, port in
            // It would be fine on loopback, but the server listens elsewhere.
            #expect(throws: ProxyServerError.self) { try server.reload(Configuration()) }
            #expect(throws: ProxyServerError.self) {
                try server.reload(
                    Self.configuration { $0.rules = [Rule(.deny, ports: [])] }
                )
            }
            let listener = try TestListener()
            defer { listener.close() }
            let reply = try reply(through: port, to: .loopback(listener.port))
            #expect(reply == .succeeded)
        }
    }

    @Test func aServerThatHasNotStartedIsNotReloaded() throws {
        let server = try ProxyServer(logger: suiteLogger)
        #expect {
            try server.reload(Configuration())
        } throws: {
            ($0 as? ProxyServerError)?.code == .notStarted
        }
    }

    @Test func successfulLoginsAreKeptIfTheHashIsUnchanged() async throws {
        func login(_ name: String) -> Login {
            Login(
                credentials: Credentials(username: name, password: "secret"),
                client: someone
            )
        }
        func costsNothing(_ table: UserTable, _ name: String) -> Bool {
            if case .now(.accepted) = table.verify(login(name)) { true } else { false }
        }
        let (same, other) = (
            try PasswordHash(parsing: HashOfSecret.bcrypt), try PasswordHash(parsing: HashOfSecret.sha512)
        )
        let users = ["alice", "bob"].map { ProxyUser(name: $0, hash: same) }
        let table = UserTable(users, hashes())
        for user in users {
            if case .later(let answer) = table.verify(login(String(decoding: user.name, as: UTF8.self))) {
                #expect(try await answer() == .accepted)
            }
        }
        let next = UserTable(
            [
                ProxyUser(name: "carol", hash: same), ProxyUser(name: "bob", hash: other),
                ProxyUser(name: "alice", hash: same),
            ],
            hashes(),
            replacing: table
        )
        #expect(costsNothing(next, "alice") && !costsNothing(next, "bob") && !costsNothing(next, "carol"))
        let third = UserTable(users, hashes(), replacing: next)
        #expect(costsNothing(third, "alice") && !costsNothing(third, "bob"))
    }

    /// Old and new table share the hash threads: the same login with another hash is a different question.
    @Test func aPasswordThatIsBeingCheckedWhenItChangesIsNotTakenForTheNewOne() async throws {
        func login(_ password: String) -> Login {
            Login(
                credentials: Credentials(username: "alice", password: password),
                client: someone
            )
        }
        func hash(_ password: String, _ cost: Int) throws -> ProxyUser {
            ProxyUser(
                name: "alice",
                hash: try PasswordHash(hashing: Array(password.utf8), method: .bcrypt, cost: cost)
            )
        }
        let threads = HashThreads(maximum: 1)
        let before = UserTable([try hash("old", 8)], hashes(threads))
        let after = UserTable([try hash("new", 4)], hashes(threads), replacing: before)
        guard case .later(let underWay) = before.verify(login("old")),
            case .later(let later) = after.verify(login("old"))
        else { throw TestFailure("an answer at once") }
        async let first = underWay()
        async let second = later()
        let verdicts = try await (first, second)
        #expect(verdicts.0 == .accepted)
        #expect(verdicts.1 == .refused)
        guard case .later = after.verify(login("old")) else {
            throw TestFailure("the old password is remembered")
        }
    }

    @Test func aBanEndsWithItsSettingAndFailuresAreRemembered() {
        var throttle = LoginThrottle(nil)
        let source = ClientSource(someone)
        for _ in 0..<5 { _ = throttle.noteFailure(of: source, now: 0) }
        throttle.ban = LoginBan()
        throttle.ban?.failures = 6
        #expect(throttle.noteFailure(of: source, now: 1) == .banned)
        #expect(throttle.isBanned(source, now: 2))
        throttle.ban = nil
        #expect(!throttle.isBanned(source, now: 2))
    }
}
