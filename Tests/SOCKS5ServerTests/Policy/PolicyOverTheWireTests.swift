import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

@testable import ProxyPolicy
@testable import SOCKS5Server

/// Rules and the destination guard, from a client's view.
@Suite struct PolicyOverTheWireTests {
    private static func network(_ text: String) throws -> [IPNetwork] { [try IPNetwork(parsing: text)] }

    private static let local: [Rule] = [
        Rule(.deny, networks: (try? network("127.0.0.0/8")) ?? []),
        Rule(.deny, networks: (try? network("::1")) ?? []),
    ]

    private static let spellings: [Destination.Host] =
        [
            "127.0.0.1", "[::1]", "::1", "localhost", "LocalHost.", "127.1", "0x7f.1", "2130706433",
            "0177.0.0.1",
            "::ffff:127.0.0.1", "[::ffff:7f00:1]",
        ].compactMap { DomainName($0).map { .name($0) } } + [
            .ipv4(IPv4Address(127, 0, 0, 1)), .ipv4(IPv4Address(127, 255, 0, 1)),
            .ipv6(IPv6Address(high: 0, low: 1)),
            .ipv6(IPv6Address(high: 0, low: 0xffff_7f00_0001)),
        ]

    private static let wrapped: [Destination.Host] =
        [
            .ipv4(.any), .ipv6(.any), .ipv6(IPv6Address(high: 0, low: 0x7f00_0001)),
            .ipv6(IPv6Address(high: 0x0064_ff9b_0000_0000, low: 0x7f00_0001)),
            .ipv6(IPv6Address(high: 0x2002_7f00_0001_0000, low: 1)),
            .ipv6(IPv6Address(high: 0x2001_0000_7f00_0001, low: 0)),
        ] + ["0", "0.0.0.0", "0x0", "[::]"].compactMap { DomainName($0).map { .name($0) } }

    @Test(arguments: spellings + wrapped) func aGuardedServerDialsNothingLocal(_ host: Destination.Host)
        async throws
    {
        try await withServer({ $0.destinationGuard.mode = .on }) { port in
            let (listener, listener6) = try Self.listenersAtTheSamePort()
            defer { listener.close(); listener6.close() }
            let reply = try reply(
                through: port,
                to: Destination(host: host, port: UInt16(listener.port))
            )
            #expect(reply == .notAllowed)
            #expect(!listener.hasConnection && !listener6.hasConnection)
        }
    }

    @Test(arguments: spellings + wrapped) func aNetworkThatARuleDeniesIsNotDialled(_ host: Destination.Host)
        async throws
    {
        try await withServer({ $0.rules = Self.local }) { port in
            let (listener, listener6) = try Self.listenersAtTheSamePort()
            defer { listener.close(); listener6.close() }
            let reply = try reply(
                through: port,
                to: Destination(host: host, port: UInt16(listener.port))
            )
            #expect(reply == .notAllowed)
            #expect(!listener.hasConnection && !listener6.hasConnection)
        }
    }

    private static func listenersAtTheSamePort() throws -> (TestListener, TestListener) {
        for _ in 0..<50 {
            let listener = try TestListener()
            if let other = try? TestListener(host: "::1", port: listener.port) { return (listener, other) }
            listener.close()
        }
        throw TestFailure("no port is free in both families")
    }

    @Test func withoutAGuardALoopbackServerDialsItsMachine() async throws {
        try await withServer { port in
            let listener = try TestListener()
            defer { listener.close() }
            try expect(.succeeded, through: port, to: .loopback(listener.port))
            #expect(listener.hasConnection)
        }
    }

    @Test func anExceptionOpensTheGuard() async throws {
        try await withServer({
            $0.destinationGuard.mode = .on
            $0.destinationGuard.exceptions = (try? Self.network("127.0.0.1"))?.map { .network($0) } ?? []
        }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            try expect(.succeeded, through: port, to: .loopback(listener.port))
            try expect(.notAllowed, through: port, to: .loopback6(listener.port))
            // The other addresses of the name are skipped.
            try expect(
                .succeeded,
                through: port,
                to: Destination(name: "localhost", port: listener.port)
            )
        }
    }

    @Test func aServerThatOthersReachIsGuardedAndDoesNotDialItself() async throws {
        try await withServer({
            $0.listen = (try? [ListenAddress(parsing: "0.0.0.0:0")]) ?? []
            $0.isOpen = true
        }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            try expect(.notAllowed, through: port, to: .loopback(listener.port))
            #expect(!listener.hasConnection)
        }
        try await withServer({
            $0.listen = (try? [ListenAddress(parsing: "0.0.0.0:0")]) ?? []
            $0.isOpen = true
            $0.destinationGuard.exceptions = [.all]
        }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            try expect(.succeeded, through: port, to: .loopback(listener.port))
            for name in ["127.0.0.1", "127.9.9.9", "0.0.0.0", "localhost"] {
                try expect(.notAllowed, through: port, to: Destination(name: name, port: port))
            }
        }
    }

    @Test func aDomainThatIsDeniedIsNotLookedUp() async throws {
        let rules = [Rule(.deny, domains: [try DomainPattern(parsing: ".invalid")])]
        try await withServer({ $0.rules = rules }) { port in
            for name in ["no-such-name.invalid", "NO-SUCH-NAME.Invalid.", "invalid"] {
                try expect(.notAllowed, through: port, to: Destination(name: name, port: 80))
            }
            // A name that is looked up fails in a different way.
            try expect(.hostUnreachable, through: port, to: Destination(name: "invalid2", port: 80))
        }
    }

    @Test func aDomainThatIsAllowedFirstIsDialledAtADeniedAddress() async throws {
        let allowed = Rule(.allow, domains: [try DomainPattern(parsing: "localhost")])
        try await withServer({ $0.rules = [allowed] + Self.local }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            try expect(
                .succeeded,
                through: port,
                to: Destination(name: "LOCALHOST", port: listener.port)
            )
            try expect(.notAllowed, through: port, to: Destination(name: "127.1", port: listener.port))
            try expect(.notAllowed, through: port, to: .loopback(listener.port))
        }
        try await withServer({ $0.rules = Self.local + [allowed] }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            try expect(
                .notAllowed,
                through: port,
                to: Destination(name: "localhost", port: listener.port)
            )
            #expect(!listener.hasConnection)
        }
    }

    @Test func aPortAClientAndACommandAreDenied() async throws {
        let listener = try TestListener()
        defer { listener.close() }
        let range = PortRange(UInt16(listener.port))
        let everyPort = PortRange(1...65535)
        let here = try IPNetwork(parsing: "127.0.0.1")
        let elsewhere = try IPNetwork(parsing: "127.0.0.2")
        for (rule, isDenied) in [
            (Rule(.deny, ports: [range]), true), (Rule(.deny, clients: [here]), true),
            (Rule(.deny, clients: [elsewhere]), false), (Rule(.deny, commands: [.connect]), true),
            (Rule(.deny, commands: [.bind, .udpAssociate]), false),
            (Rule(.deny, users: ["alice"]), false),
            (Rule(.deny, clients: [elsewhere], ports: [everyPort]), false),
        ] {
            try await withServer({ $0.rules = [rule] }) { port in
                let reply = try reply(through: port, to: .loopback(listener.port))
                #expect(reply == (isDenied ? .notAllowed : .succeeded), "\(rule)")
            }
        }
    }

    @Test func aUserIsDeniedAndAnotherIsNot() async throws {
        try await withServer({
            $0.users = [.init(name: "alice", password: "1"), .init(name: "bob", password: "2")]
            $0.rules = [Rule(.deny, users: ["alice"])]
        }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            for (name, password, expected) in [("alice", "1", Reply.notAllowed), ("bob", "2", .succeeded)] {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                try socket.send(Greeting(methods: [.usernamePassword]))
                #expect(try socket.receive(MethodSelection.self).method == .usernamePassword)
                try socket.send(Credentials(username: name, password: password))
                #expect(try socket.receive(AuthenticationStatus.self).succeeded)
                #expect(listener.hasConnection == false)
                try socket.send(SOCKSRequest(command: .connect, destination: .loopback(listener.port)))
                #expect(try socket.receive(SOCKSResponse.self).reply == expected, "\(name)")
            }
        }
    }

    @Test func aDenialIsCountedAsReply02() async throws {
        try await withServerObject({ $0.rules = Self.local }) { server, port in
            try expect(.notAllowed, through: port, to: .loopback(9))
            #expect(server.statistics.replies(.notAllowed) == 1)
        }
    }

    // MARK: - BIND

    @Test func bindIsDeniedByCommandAndByTheAwaitedHost() async throws {
        let here = Destination.loopback(0)
        for rules in [[Rule(.deny, commands: [.bind])], Self.local] {
            try await withServer({ $0.rules = rules }) { port in
                try expect(.notAllowed, through: port, to: here, by: .bind)
            }
        }
        try await withServer({ $0.destinationGuard.mode = .on }) { port in
            try expect(.notAllowed, through: port, to: here, by: .bind)
        }
    }

    @Test func bindIgnoresDeniedPeers() async throws {
        let rules = [Rule(.deny, networks: try Self.network("127.0.0.2"))]
        try await withServer({ $0.rules = rules }) { port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            let bound = try client.request(.bind, .unspecified)
            #expect(bound.reply == .succeeded)
            let stranger = try TestSocket(connectingTo: Int(bound.boundAddress.port), from: "127.0.0.2")
            defer { stranger.close() }
            try stranger.waitForClose()
            let peer = try TestSocket(connectingTo: Int(bound.boundAddress.port))
            defer { peer.close() }
            let second = try client.receive(SOCKSResponse.self)
            #expect(second.boundAddress == .loopback(peer.localPort))
        }
    }

    // MARK: - UDP ASSOCIATE

    @Test func anAssociationIsDeniedByCommandAndNotForItsTargets() async throws {
        let port53 = PortRange(53)
        for (rules, expected) in [
            ([Rule(.deny, commands: [.udpAssociate])], Reply.notAllowed), ([Rule(.deny)], .notAllowed),
            (Self.local, .succeeded), ([Rule(.allow, ports: [port53]), Rule(.deny)], .succeeded),
        ] {
            try await withServer({ $0.rules = rules }) { port in
                try expect(expected, through: port, to: .unspecified, by: .udpAssociate)
            }
        }
    }

    @Test func eachDatagramIsJudgedByItsOwnTarget() async throws {
        let denied = try Self.network("127.0.0.2")
        let names = [try DomainPattern(parsing: ".invalid")]
        try await withServerObject({
            $0.rules = [Rule(.deny, networks: denied), Rule(.deny, domains: names)]
        }) { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let (open, closed) = (try TestDatagramSocket(), try TestDatagramSocket(host: "127.0.0.2"))
            defer { open.close(); closed.close() }
            let mapped = Destination.Host.ipv6(IPv6Address(high: 0, low: 0xffff_7f00_0002))
            let hosts: [Destination.Host] =
                [closed.address.host, mapped]
                + ["127.0.0.2", "0x7f.2", "2130706434", "a.invalid"].compactMap {
                    DomainName($0).map { .name($0) }
                }
            for (count, host) in hosts.enumerated() {
                try association.send([1], to: Destination(host: host, port: closed.address.port))
                try eventually("\(host) is denied") {
                    server.statistics.datagramsDropped(.denied) == count + 1
                }
                try association.expectEcho(of: [2], from: open)
            }
            #expect(!closed.hasDatagram)
        }
    }

    @Test func aGuardedAssociationSendsNothingLocal() async throws {
        try await withServerObject({ $0.destinationGuard.mode = .on }) { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            try Self.expectAllDenied(association, target, server)
        }
    }

    @Test func rulesKeepAnAssociationFromEverySpellingOfLoopback() async throws {
        try await withServerObject({ $0.rules = Self.local }) { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            try Self.expectAllDenied(association, target, server)
        }
    }

    private static func expectAllDenied(
        _ association: TestAssociation,
        _ target: TestDatagramSocket,
        _ server: ProxyServer
    ) throws {
        for (count, host) in (spellings + wrapped).enumerated() {
            try association.send([1], to: Destination(host: host, port: target.address.port))
            try eventually("\(host) is denied") {
                server.statistics.datagramsDropped(.denied) == count + 1
            }
        }
        #expect(!target.hasDatagram)
    }

    /// glibc reads `\\111` as `o` and `\\o` as `o`: it would look up a different name from the one that the rules have
    /// seen.
    @Test(arguments: [
        "localh\\111st", "loc\\alhost", "localhost\\.", "local host", "localhost\u{1}", "localhost%lo", "*",
        "a:b",
        "..", "localhost..", "a..localhost", "fe80::1%lo", "[127.0.0.1]",
    ]) func aNameThatResolversReadDifferentlyIsNotLookedUp(_ name: String) async throws {
        let bytes = Array(name.utf8)
        let request: [UInt8] = [5, 1, 0, 3, UInt8(bytes.count)] + bytes
        try await withServerObject { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let place = [UInt8(listener.port >> 8), UInt8(listener.port & 0xff)]
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(Greeting(methods: [.noAuthentication]).encoded + request + place)
            #expect(try socket.receive(2) == [5, 0])
            #expect(try socket.receive(SOCKSResponse.self).reply == .hostUnreachable)
            #expect(!listener.hasConnection)

            let association = try TestAssociation(through: port)
            defer { association.close() }
            let dropped = {
                [DatagramDrop.nameNotFound, .malformed].map { server.statistics.datagramsDropped($0) }.reduce(
                    0,
                    +
                )
            }
            try association.socket.send(
                [0, 0, 0, 3, UInt8(bytes.count)] + bytes + place + [1],
                to: association.bound
            )
            try eventually("the datagram is dropped") { dropped() == 1 }
        }
    }

    /// A gateway to IPv4 extracts the address from these.
    @Test(arguments: [
        "64:ff9b::127.0.0.2", "2002:7f00:2::1", "2001:0:7f00:2::1", "2001::80ff:fffd", "::127.0.0.2",
        "::ffff:0:127.0.0.2",
    ]) func aRuleAboutAnIPv4AddressAppliesToIPv6AddressesThatEmbedIt(_ text: String) throws {
        let address = try #require(IPAddress(text))
        let subject = Subject(client: someone, user: nil, command: .connect)
        func denial(_ rules: [Rule]) -> Denial? {
            AccessPolicy(RuleTable(rules), UserRules([]), nil, nil)
                .denial(of: address, port: 80, named: nil, to: subject)
        }
        let inner = try Self.network("127.0.0.2")
        #expect(denial([Rule(.deny, networks: inner)]) == .rule(1))
        #expect(denial([Rule(.deny, networks: try Self.network("127.0.0.3"))]) == nil)
        let (outer, all) = (try Self.network("::/0"), try Self.network("0.0.0.0/0"))
        #expect(
            denial([Rule(.allow, networks: outer), Rule(.deny)]) == .rule(2),
            "the inner address isn't allowed"
        )
        #expect(denial([Rule(.allow, networks: inner), Rule(.deny)]) == .rule(2), "the outer one isn't")
        #expect(denial([Rule(.allow, networks: all + outer), Rule(.deny)]) == nil)
    }
}
