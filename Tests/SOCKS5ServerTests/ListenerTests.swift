import ProxyPolicy
import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server

/// Listeners with settings of their own.
@Suite struct ListenerTests {
    /// Both on loopback; `common` has no settings of its own except its address.
    private static func withTwoListeners(
        _ configure: (inout Configuration) throws -> Void,
        _ body: @escaping @Sendable (_ server: ProxyServer, _ common: Int, _ own: Int) throws -> Void
    ) async throws {
        var configuration = try twoListeners()
        try configure(&configuration)
        try await withServerObject({ $0 = configuration }) { server, _ in
            let ports = server.boundAddresses.map(\.port)
            try body(server, ports[0], ports[1])
        }
    }

    private static func twoListeners() throws -> Configuration {
        var configuration = Configuration()
        configuration.listen = [
            try ListenAddress(parsing: "127.0.0.1:0"), try ListenAddress(parsing: "127.0.0.2:0"),
        ]
        configuration.workers = 2
        return configuration
    }

    private static func connect(to port: Int, host: String) throws -> TestSocket {
        try TestSocket(connectingTo: port, host: host)
    }

    private static func method(at port: Int, host: String) throws -> AuthenticationMethod {
        let socket = try connect(to: port, host: host)
        defer { socket.close() }
        try socket.send(Greeting(methods: [.noAuthentication, .usernamePassword]))
        return try socket.receive(MethodSelection.self).method
    }

    private static func reply(_ command: SOCKSCommand, at port: Int, host: String, to target: Destination)
        throws
        -> Reply
    {
        let socket = try connect(to: port, host: host)
        defer { socket.close() }
        return try socket.request(command, target).reply
    }

    @Test func oneListenerMayRequireLoginsAndAnotherNone() async throws {
        try await Self.withTwoListeners({
            $0.users = [ProxyUser(name: "alice", password: "secret")]
            $0.listeners[1].login = .never
        }) { _, common, own in
            let ofCommon = try Self.method(at: common, host: "127.0.0.1")
            #expect(ofCommon == .usernamePassword)
            let ofOwn = try Self.method(at: own, host: "127.0.0.2")
            #expect(ofOwn == .noAuthentication)
        }
    }

    @Test(arguments: [SOCKSCommand.connect, .bind, .udpAssociate])
    func rulesOfAListenerAreTriedBeforeTheCommonOnes(_ command: SOCKSCommand) async throws {
        try await Self.withTwoListeners({
            $0.rules = [Rule(.deny, commands: [command])]
            $0.listeners[1].rules = [Rule(.allow, commands: [command])]
        }) { _, common, own in
            let target = try TestListener()
            defer { target.close() }
            let destination = command == .connect ? Destination.loopback(target.port) : .unspecified
            let denied = try Self.reply(command, at: common, host: "127.0.0.1", to: destination)
            #expect(denied == .notAllowed)
            let allowed = try Self.reply(command, at: own, host: "127.0.0.2", to: destination)
            #expect(allowed == .succeeded)
        }
    }

    @Test func otherRulesDecideIfNoneOfTheListenerMatches() async throws {
        try await Self.withTwoListeners({
            $0.rules = [Rule(.deny, ports: [PortRange(1...65535)])]
            $0.listeners[1].rules = [Rule(.allow, commands: [.bind])]
        }) { _, _, own in
            let target = Destination.loopback(9)
            let reply = try Self.reply(.connect, at: own, host: "127.0.0.2", to: target)
            #expect(reply == .notAllowed)
        }
    }

    @Test func aListenersDenialOverridesTheUsersOwnRules() throws {
        var user = ProxyUser(name: "alice", password: "secret")
        user.rules = [Rule(.allow)]
        let access = AccessPolicy(
            RuleTable([]),
            UserRules([user]),
            listeners: [RuleTable([]), RuleTable([Rule(.allow, commands: [.bind]), Rule(.deny)])],
            nil,
            nil
        )
        let intent = Intent.connect(.address(.ipv4(.loopback), port: 80))
        func denial(_ command: Intent, at listener: Int) -> Denial? {
            let name = Array("alice".utf8)
            return access.denial(
                of: command,
                to: Subject(client: someone, user: name, command: command.command, listener: listener)
            )
        }
        #expect(denial(intent, at: 0) == nil)
        #expect(denial(intent, at: 1) == .listenerRule(2))
        #expect(denial(.bind(from: nil), at: 1) == nil)
        #expect(Denial.listenerRule(2).text == "listener's rule 2")
    }

    @Test func theGuardOverridesAListenersRules() async throws {
        try await Self.withTwoListeners({
            $0.destinationGuard.mode = .on
            $0.listeners[1].rules = [Rule(.allow)]
        }) { _, _, own in
            let target = Destination.loopback(9)
            let reply = try Self.reply(.connect, at: own, host: "127.0.0.2", to: target)
            #expect(reply == .notAllowed)
        }
    }

    /// The client moves to the worker that has the port.
    @Test func datagramsAreJudgedByTheListenerOfTheirAssociation() async throws {
        let shared = try freePorts(1).lowerBound
        try await Self.withTwoListeners({
            $0.workers = 4
            $0.udp.ports = PortRange(shared)
            let loopback = [try IPNetwork(parsing: "127.0.0.0/8")]
            $0.listeners[1].rules = [Rule(.deny, commands: [.udpAssociate], networks: loopback)]
        }) { server, common, own in
            let target = try TestDatagramSocket()
            defer { target.close() }
            for _ in 0..<4 {
                let allowed = try TestAssociation(through: common)
                defer { allowed.close() }
                try allowed.expectEcho(of: [1], from: target)
                let denied = try TestAssociation(
                    Self.connect(to: own, host: "127.0.0.2"),
                    TestDatagramSocket(),
                    .unspecified
                )
                defer { denied.close() }
                let before = server.statistics.datagramsDropped(.denied)
                try denied.send([2], to: target.address)
                try eventually("it is dropped") { server.statistics.datagramsDropped(.denied) == before + 1 }
            }
        }
    }

    @Test func aReloadChangesTheSettingsOfAListenerByItsAddress() async throws {
        try await Self.withTwoListeners({ $0.listeners[1].rules = [Rule(.deny)] }) { server, common, own in
            let target = try TestListener()
            defer { target.close() }
            let destination = Destination.loopback(target.port)
            func expectEventually(_ expected: Reply) throws {
                try eventually("reply \(expected)") {
                    try Self.reply(.connect, at: own, host: "127.0.0.2", to: destination) == expected
                }
            }
            try expectEventually(.notAllowed)
            var next = try Self.twoListeners()
            next.listeners.reverse()
            try server.reload(next)
            try expectEventually(.succeeded)
            next.listeners[0].rules = [Rule(.deny)]
            try server.reload(next)
            try expectEventually(.notAllowed)
            // A configuration without the address leaves its settings unchanged.
            next.listeners.removeFirst()
            next.rules = [Rule(.allow)]
            try server.reload(next)
            try expectEventually(.notAllowed)
            let reply = try Self.reply(.connect, at: common, host: "127.0.0.1", to: destination)
            #expect(reply == .succeeded)
        }
    }

    @Test func aListenerOpenToStrangersIsRefusedThoughThereAreUsers() throws {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "192.0.2.1:0")]
        configuration.users = [ProxyUser(name: "alice", password: "secret")]
        _ = try ProxyServer(configuration: configuration)
        configuration.listeners[0].login = .never
        let error = #expect(throws: ProxyServerError.self) { try ProxyServer(configuration: configuration) }
        #expect(error?.code == .openToNetwork)
        #expect(
            error?.description.contains("192.0.2.1:0 can be reached by other machines, and asks nobody")
                == true
        )
        configuration.isOpen = true
        _ = try ProxyServer(configuration: configuration)
    }

    @Test func twoUsersOfOneNameAreRefused() throws {
        var configuration = Configuration()
        configuration.users = ["alice", "bob", "alice"].map { ProxyUser(name: $0, password: "secret") }
        let error = #expect(throws: ProxyServerError.self) { try ProxyServer(configuration: configuration) }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.description == "two users are called 'alice'")
    }

    @Test func addressesThatAreSetKeepTheSettingsOfTheirListeners() throws {
        var configuration = try Self.twoListeners()
        configuration.listeners[1].login = .never
        let other = try ListenAddress(parsing: "127.0.0.3:0")
        configuration.listen = [other, configuration.listen[1]]
        #expect(configuration.listeners.map(\.login) == [.asConfigured, .never])
        #expect(configuration.listen.map(\.host) == ["127.0.0.3", "127.0.0.2"])
    }

    @Test func aCustomRuleSetExcludesRulesOfListeners() throws {
        struct Everything: RuleSet {
            func decide(_ request: RuleRequest) -> RuleAnswer { .now(.allowed) }
            func permits(_ target: RuleRequest) -> Bool { true }
        }
        var configuration = Configuration()
        configuration.ruleSet = Everything()
        _ = try ProxyServer(configuration: configuration)
        configuration.listeners[0].rules = [Rule(.deny)]
        #expect(throws: ProxyServerError.self) { try ProxyServer(configuration: configuration) }
    }

    // MARK: - Clients

    @Test func strangersToAListenerAreClosedAtOnceAndCounted() async throws {
        try await Self.withTwoListeners({
            $0.listeners[1].clients = [try IPNetwork(parsing: "127.0.0.64/26")]
        }) {
            server,
            _,
            own in
            let stranger = try TestSocket(connectingTo: own, host: "127.0.0.2", from: "127.0.0.5")
            defer { stranger.close() }
            try stranger.waitForClose()
            #expect(server.statistics[.refusedToStrangers] == 1)
            let refused = server.metrics().listeners[1].refused.first { $0.reason == .stranger }
            #expect(refused?.count == 1)
            let client = try TestSocket(connectingTo: own, host: "127.0.0.2", from: "127.0.0.65")
            defer { client.close() }
            try client.send(Greeting(methods: [.noAuthentication]))
            let selection = try client.receive(MethodSelection.self)
            #expect(selection.method == .noAuthentication)
        }
    }

    /// `[::]` shows clients that come by IPv4 in this form.
    @Test func aMappedClientIsOneOfItsIPv4Network() async throws {
        try await withServerObject({
            $0.listen = [try ListenAddress(parsing: "[::]:0")]
            $0.listeners[0].clients = [try IPNetwork(parsing: "127.0.0.0/8")]
            $0.workers = 1
        }) { server, port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(Greeting(methods: [.noAuthentication]))
            _ = try client.receive(MethodSelection.self)
            let stranger = try TestSocket(connectingTo: port, host: "::1")
            defer { stranger.close() }
            try stranger.waitForClose()
        }
    }

    @Test func clientsOfAnExceptedNetworkNeedNoLogin() async throws {
        try await Self.withTwoListeners({
            $0.users = [ProxyUser(name: "alice", password: "secret")]
            $0.listeners[1].login = .except([try IPNetwork(parsing: "127.0.0.64/26")])
        }) { _, _, own in
            for (source, expected) in [
                ("127.0.0.65", AuthenticationMethod.noAuthentication), ("127.0.0.5", .usernamePassword),
            ] {
                let socket = try TestSocket(connectingTo: own, host: "127.0.0.2", from: source)
                defer { socket.close() }
                try socket.send(Greeting(methods: [.noAuthentication, .usernamePassword]))
                let selection = try socket.receive(MethodSelection.self)
                #expect(selection.method == expected, "\(source)")
            }
        }
    }

    @Test func aProcessOfThisMachineIsServedAndLogsIn() throws {
        var configuration = Configuration()
        configuration.users = [ProxyUser(name: "alice", password: "secret")]
        var listener = Configuration.ListenerSettings(.loopback)
        listener.clients = [try IPNetwork(parsing: "192.0.2.0/24")]
        listener.login = .except([try IPNetwork(parsing: "0.0.0.0/0")])
        let terms = ListenerTerms(listener, configuration)
        #expect(terms.serves(.local(uid: 1000), isNamed: false))
        #expect(terms.methods(for: .local(uid: 1000)) == (.usernamePassword, nil))
        #expect(!terms.serves(Peer(.ipv4(.loopback), port: 1), isNamed: false))
    }

    @Test(arguments: [
        ("10.0.0.0/8", false), ("203.0.113.0/24", false), ("fc00::/7", false), ("2001:db8::/32", false),
        ("0.0.0.0/0", true), ("128.0.0.0/1", true), ("::/0", true), ("2000::/3", true),
        ("::ffff:0:0/96", true),
    ]) func clientsThatAreNamedAreNoStrangers(_ network: String, _ isOpen: Bool) throws {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "0.0.0.0:0")]
        configuration.listeners[0].clients = [
            try IPNetwork(parsing: "192.0.2.0/24"), try IPNetwork(parsing: network),
        ]
        func code() -> ProxyServerError.Code? {
            do throws(ProxyServerError) {
                _ = try ProxyServer(configuration: configuration)
                return nil
            } catch {
                return error.code
            }
        }
        #expect(code() == (isOpen ? .openToNetwork : nil))
        // Clients without a login are checked as well.
        configuration.users = [ProxyUser(name: "alice", password: "secret")]
        configuration.listeners[0].login = .except(configuration.listeners[0].clients ?? [])
        configuration.listeners[0].clients = nil
        #expect(code() == (isOpen ? .openToNetwork : nil))
    }

    @Test func listenersWhoseLoginCannotWorkAreRefused() throws {
        func error(_ configure: (inout Configuration) -> Void) -> String? {
            var configuration = Configuration()
            configure(&configuration)
            do throws(ProxyServerError) {
                _ = try ProxyServer(configuration: configuration)
                return nil
            } catch {
                return error.description
            }
        }
        #expect(
            error { $0.listeners[0].login = .required }
                == "127.0.0.1:1080 requires a login, and there are no users"
        )
        let ofUsers = Rule(.allow, users: ["alice"])
        #expect(
            error {
                $0.users = [ProxyUser(name: "alice", password: "secret")]
                $0.listeners[0].login = .never
                $0.listeners[0].rules = [Rule(.allow), ofUsers]
            } == "rule 2 of 127.0.0.1:1080 is about users, and nobody logs in there"
        )
        #expect(
            error {
                $0.listeners[0].login = .never
                $0.rules = [ofUsers]
            } == "rule 1 is about users, and nobody logs in at any listener"
        )
        #expect(error { $0.listeners[0].clients = [] }?.contains("serves no network") == true)
    }

    @Test func aReloadChangesWhomAListenerServes() async throws {
        try await Self.withTwoListeners({ _ in }) { server, _, own in
            let before = try Self.connect(to: own, host: "127.0.0.2")
            defer { before.close() }
            try before.send(Greeting(methods: [.noAuthentication]))
            _ = try before.receive(MethodSelection.self)
            var next = try Self.twoListeners()
            next.listeners[1].clients = [try IPNetwork(parsing: "192.0.2.0/24")]
            try server.reload(next)
            try eventually("others are closed") {
                let socket = try Self.connect(to: own, host: "127.0.0.2")
                defer { socket.close() }
                try? socket.send(Greeting(methods: [.noAuthentication]))
                return (try? socket.receive(MethodSelection.self)) == nil
            }
            // Existing sessions stay.
            try before.send(SOCKSRequest(command: .connect, destination: .loopback(1)))
            #expect(try before.receive(SOCKSResponse.self).reply == .connectionRefused)
        }
    }

    @Test func aListenerIsCalledByItsName() async throws {
        try await withServerObject({
            $0.listen = try ["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"].map {
                try ListenAddress(parsing: $0)
            }
            $0.listeners[0].name = "alone"
            $0.listeners[1].name = "both"
            $0.listeners[2].name = "both"
        }) { server, port in
            let others = server.boundAddresses.dropFirst().map { "both \($0)" }
            #expect(server.metrics().listeners.map(\.name) == ["alone"] + others)
        }
    }
}
