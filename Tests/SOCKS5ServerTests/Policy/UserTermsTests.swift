import Glibc
import SOCKS5Protocol
import Synchronization
import TestSupport
import Testing
import UVLoop

@testable import ProxyPolicy
@testable import SOCKS5Server

/// Rights of one user that others don't have.
@Suite struct UserTermsTests {
    private static func user(
        _ name: String,
        _ change: (inout ProxyUser) -> Void = { _ in }
    ) -> ProxyUser {
        var user = ProxyUser(name: name, password: "secret")
        change(&user)
        return user
    }

    /// Logs in, and returns the socket and the server's answer.
    private static func logIn(
        _ name: String,
        from source: String? = nil,
        at port: Int
    ) throws -> (socket: TestSocket, isAccepted: Bool) {
        let socket = try TestSocket(connectingTo: port, from: source)
        try socket.send(Greeting(methods: [.usernamePassword]))
        _ = try socket.receive(MethodSelection.self)
        try socket.send(Credentials(username: name, password: "secret"))
        return (socket, try socket.receive(AuthenticationStatus.self).succeeded)
    }

    private static func reply(
        to name: String,
        _ destination: Destination,
        by command: SOCKSCommand = .connect,
        at port: Int
    ) throws -> SOCKSResponse {
        let (socket, _) = try logIn(name, at: port)
        defer { socket.close() }
        try socket.send(SOCKSRequest(command: command, destination: destination))
        return try socket.receive(SOCKSResponse.self)
    }

    // MARK: - Login

    @Test func aLoginFromElsewhereIsRefusedLikeAWrongPassword() async throws {
        let networks = [try IPNetwork(parsing: "127.0.0.2/31"), try IPNetwork(parsing: "192.0.2.0/24")]
        let users = [Self.user("alice") { $0.clients = networks }, Self.user("bob")]
        try await withServerObject({ $0.users = users }) { server, port in
            for (name, source, expected) in [
                ("alice", "127.0.0.2", true), ("alice", "127.0.0.1", false), ("alice", "127.0.0.4", false),
                ("bob", "127.0.0.1", true),
            ] {
                let (socket, isAccepted) = try Self.logIn(name, from: source, at: port)
                socket.close()
                #expect(isAccepted == expected, "\(name) from \(source)")
            }
            #expect(server.statistics[.failedLogins] == 2)
        }
    }

    /// The clock is checked for each login, and a hash is computed for refused ones, as for a wrong password.
    @Test func anExpiredLoginCostsAsMuchAsAWrongPassword() async throws {
        final class Clock: Sendable {
            let seconds = Atomic<Int64>(999)
        }
        let clock = Clock()
        var user = ProxyUser(name: "alice", hash: try PasswordHash(parsing: HashOfSecret.bcrypt))
        user.expiry = UnixTime(secondsSince1970: 1000)
        let table = UserTable(
            [user],
            hashes(),
            terms: LoginTerms([user]) {
                UnixTime(secondsSince1970: clock.seconds.load(ordering: .relaxed))
            }
        )
        let login = Login(
            credentials: Credentials(username: "alice", password: "secret"),
            client: someone
        )
        guard case .later(let first) = table.verify(login) else { throw TestFailure("an answer at once") }
        #expect(try await first() == .accepted)
        guard case .now(.accepted) = table.verify(login) else { throw TestFailure("it isn't remembered") }
        clock.seconds.store(1000, ordering: .relaxed)
        for _ in 0..<2 {
            guard case .later(let answer) = table.verify(login) else {
                throw TestFailure("an answer at once")
            }
            #expect(try await answer() == .refused)
        }
        clock.seconds.store(0, ordering: .relaxed)
        guard case .now(.accepted) = table.verify(login) else { throw TestFailure("it was forgotten") }
    }

    @Test func theSystemsClockDecides() async throws {
        var (past, future) = (UnixTime.now, UnixTime.now)
        past.secondsSince1970 -= 1
        future.secondsSince1970 += 3600
        let users = [Self.user("past") { $0.expiry = past }, Self.user("future") { $0.expiry = future }]
        try await withServer({ $0.users = users }) { port in
            for (name, expected) in [("past", false), ("future", true)] {
                let (socket, isAccepted) = try Self.logIn(name, at: port)
                socket.close()
                #expect(isAccepted == expected, "\(name)")
            }
        }
    }

    // MARK: - Rules

    @Test func theUsersRulesComeFirstAndTheCommonOnesIfNoneMatches() async throws {
        let (open, shut) = (try TestListener(), try TestListener())
        defer { open.close(); shut.close() }
        let port = PortRange(UInt16(open.port))
        let users = [
            Self.user("alice") { $0.rules = [Rule(.allow, ports: [port])] },
            Self.user("bob") { $0.rules = [Rule(.deny, ports: [port])] }, Self.user("carol"),
        ]
        let here = [try IPNetwork(parsing: "127.0.0.0/8"), try IPNetwork(parsing: "::1")]
        let (first, second) = (open.port, shut.port)
        for general in [[], [Rule(.deny, networks: here)]] {
            try await withServer({
                $0.users = users
                $0.rules = general
            }) { proxy in
                let isOpen = general.isEmpty
                for host in ["127.0.0.1", "localhost"] {
                    for (name, port, isAllowed) in [
                        ("alice", first, true), ("alice", second, isOpen), ("bob", first, false),
                        ("bob", second, isOpen), ("carol", first, isOpen), ("carol", second, isOpen),
                    ] {
                        let reply = try Self.reply(to: name, Destination(name: host, port: port), at: proxy)
                        #expect(reply.reply == (isAllowed ? .succeeded : .notAllowed), "\(name) to \(host)")
                    }
                }
            }
        }
    }

    @Test func aUsersRuleOpensNothingThatTheGuardKeepsClosed() async throws {
        let users = [Self.user("alice") { $0.rules = [Rule(.allow)] }]
        try await withServer({
            $0.users = users
            $0.destinationGuard.mode = .on
        }) { port in
            let response = try Self.reply(to: "alice", .loopback(9), at: port)
            #expect(response.reply == .notAllowed)
        }
    }

    /// A rule that needs the address may match a name: then the common rules don't deny before the lookup.
    @Test func aUsersRuleThatCanNotBeJudgedYetIsNotSkipped() throws {
        let networks = [try IPNetwork(parsing: "10.0.0.0/8")]
        let user = Self.user("alice") { $0.rules = [Rule(.allow, networks: networks)] }
        let access = AccessPolicy(RuleTable([Rule(.deny)]), UserRules([user]), nil, nil)
        let subject = Subject(client: someone, user: Array("alice".utf8), command: .connect)
        let name = try #require(HostName("a.test"))
        #expect(access.denial(of: name, port: 80, to: subject) == nil)
        let (inside, outside) = (UInt32(10 << 24 | 1), UInt32(11 << 24))
        func denial(_ bits: UInt32) -> Denial? {
            access.denial(of: .ipv4(IPv4Address(rawValue: bits)), port: 80, named: name, to: subject)
        }
        #expect(denial(inside) == nil)
        #expect(denial(outside) == .rule(1))
        let other = Subject(client: someone, user: Array("bob".utf8), command: .connect)
        #expect(access.denial(of: name, port: 80, to: other) == .rule(1))
    }

    // MARK: - Egress

    @Test func theTargetSeesTheUsersAddress() async throws {
        let own = [IPNetwork(try #require(IPAddress("127.0.0.7")))]
        let users = [Self.user("alice") { $0.egressAddresses = own }, Self.user("bob")]
        let general = try ["127.0.0.8", "::1"].map { try IPNetwork(parsing: $0) }
        try await withServer({
            $0.users = users
            $0.egress.addresses = general
        }) { port in
            for (name, expected) in [("alice", "127.0.0.7"), ("bob", "127.0.0.8")] {
                try Self.expect(name, toLeaveBy: expected, at: port)
            }
        }
    }

    /// With each command.
    private static func expect(_ name: String, toLeaveBy expected: String, at port: Int) throws {
        let listener = try TestListener()
        defer { listener.close() }
        let (client, _) = try logIn(name, at: port)
        defer { client.close() }
        try client.send(SOCKSRequest(command: .connect, destination: .loopback(listener.port)))
        #expect(try client.receive(SOCKSResponse.self).reply == .succeeded)
        let target = try listener.accept()
        defer { target.close() }
        #expect(target.peerHost == expected)

        let bound = try reply(to: name, .loopback(0), by: .bind, at: port)
        #expect("\(bound.boundAddress)".hasPrefix("\(expected):"))

        let (association, _) = try logIn(name, at: port)
        defer { association.close() }
        try association.send(SOCKSRequest(command: .udpAssociate, destination: .unspecified))
        let response = try association.receive(SOCKSResponse.self)
        let (socket, datagrams) = (try TestDatagramSocket(), try TestDatagramSocket())
        defer { socket.close(); datagrams.close() }
        let header = DatagramHeader(destination: datagrams.address)
        try socket.send(header.encoded + [1], to: response.boundAddress)
        #expect("\(try datagrams.receive().source)".hasPrefix("\(expected):"))
    }

    @Test func termsFromACredentialStoreApplyLikeSettings() async throws {
        struct Store: CredentialStore {
            let terms: [String: UserTerms]

            func verify(_ login: Login) -> LoginAnswer {
                let own = terms[String(decoding: login.username, as: UTF8.self)]
                return .later { own.map { .granted($0) } ?? .accepted }
            }
        }
        let port7 = PortRange(7)
        var limits = UserLimits()
        limits.connections = 1
        let own = [IPNetwork(try #require(IPAddress("127.0.0.7")))]
        let terms = [
            "alice": try UserTerms(rules: [Rule(.deny, ports: [port7])], egressAddresses: own),
            "carol": try UserTerms(limits: limits),
        ]
        try await withServer({
            $0.credentialStore = Store(terms: terms)
            $0.limits.user.connections = 10
        }) { port in
            try Self.expect("bob", toLeaveBy: "127.0.0.1", at: port)
            try Self.expect("alice", toLeaveBy: "127.0.0.7", at: port)
            let (closed, listener) = (Destination.loopback(7), try TestListener())
            defer { listener.close() }
            #expect(try Self.reply(to: "alice", closed, at: port).reply == .notAllowed)
            #expect(try Self.reply(to: "bob", closed, at: port).reply == .connectionRefused)

            let (first, _) = try Self.logIn("carol", at: port)
            defer { first.close() }
            try first.send(SOCKSRequest(command: .connect, destination: .loopback(listener.port)))
            #expect(try first.receive(SOCKSResponse.self).reply == .succeeded)
            #expect(try Self.reply(to: "carol", .loopback(listener.port), at: port).reply == .notAllowed)
            #expect(try Self.reply(to: "bob", .loopback(listener.port), at: port).reply == .succeeded)
        }
    }

    @Test func contradictoryUserTermsAreRefused() throws {
        let twice = try ["::1", "::1"].map { try IPNetwork(parsing: $0) }
        var limits = UserLimits()
        limits.connections = 0
        #expect(throws: ConfigurationError.self) { try UserTerms(rules: [Rule(.deny, users: ["b"])]) }
        #expect(throws: ConfigurationError.self) { try UserTerms(rules: [Rule(.deny, ports: [])]) }
        #expect(throws: ConfigurationError.self) { try UserTerms(egressAddresses: twice) }
        #expect(throws: ConfigurationError.self) { try UserTerms(limits: limits) }
    }

    // MARK: - Validation

    @Test func contradictoryTermsAreRefusedWithTheUsersName() throws {
        let twice = try ["127.0.0.1", "127.0.0.1"].map { try IPNetwork(parsing: $0) }
        for (message, change) in [
            ("has clients without a value", { $0.clients = [] }),
            ("has an expiry that isn't behind the first", { $0.expiry = UnixTime(secondsSince1970: 0) }),
            (
                "has a rule of its own (2) that names users",
                { $0.rules = [Rule(.allow), Rule(.deny, users: ["b"])] }
            ),
            (
                "has a rule that can't be used: rule 1 has ports without",
                { $0.rules = [Rule(.deny, ports: [])] }
            ),
            ("has 127.0.0.1 twice to connect from", { $0.egressAddresses = twice }),
        ] as [(String, (inout ProxyUser) -> Void)] {
            var configuration = Configuration()
            configuration.users = [Self.user("bob"), Self.user("ali\nce", change)]
            let error = #expect(throws: ProxyServerError.self) {
                try ProxyServer(configuration: configuration)
            }
            #expect(error?.code == .invalidConfiguration)
            #expect(error?.description.hasPrefix("user 'ali\\nce' \(message)") == true, "\(error as Any)")
        }
    }

    @Test func anAddressThatIsNotOneOfThisMachineIsRefusedAtTheStartAndByAReload() async throws {
        let foreign = [try IPNetwork(parsing: "192.0.2.1")]
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        let good = configuration
        configuration.users = [Self.user("alice") { $0.egressAddresses = foreign }]
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        let error = await #expect(throws: ProxyServerError.self) { try await server.start() }
        #expect(error?.code == .addressNotAvailable)
        #expect(error?.description.hasPrefix("user 'alice': 192.0.2.1 is not an address") == true)

        let other = try ProxyServer(configuration: good, logger: suiteLogger)
        try await other.start()
        #expect(throws: ProxyServerError.self) { try other.reload(configuration) }
        await other.stop(grace: .zero)
    }

    // MARK: - Many

    /// Ten thousand users with the same rules share one table.
    @Test func usersWithTheSameRulesShareThem() throws {
        let networks = try (0..<100).map { try IPNetwork(parsing: "10.0.\($0).0/24") }
        let plan = [Rule(.deny, networks: networks)]
        let users = (0..<10_000).map { number in Self.user("u\(number)") { $0.rules = plan } }
        let clock = ContinuousClock()
        var rules = UserRules([])
        // 10,000 separate tables would take seconds.
        #expect(clock.measure { rules = UserRules(users) } < .seconds(isQuick ? 20 : 4))
        #expect(rules.count == 1)
        let subject = Subject(client: someone, user: Array("u9999".utf8), command: .connect)
        let denied = RuleTable.Known.address(.ipv4(IPv4Address(10, 0, 0, 1)), port: 1, named: nil)
        #expect(rules.verdict(on: denied, to: subject) == .denied(0))
    }
}
