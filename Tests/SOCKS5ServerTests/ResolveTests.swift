import ProxyPolicy
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

private let somewhere = IPAddress.ipv4(IPv4Address(198, 51, 100, 7))
private let elsewhere = IPAddress.ipv4(IPv4Address(198, 51, 100, 8))
private let farAway = IPAddress.ipv6(IPv6Address(high: 0x2001_0db8_0000_0000, low: 7))

/// RESOLVE, as torsocks asks for it.
@Suite struct ResolveTests {
    private struct Names: NameResolver {
        func resolve(_ name: String) -> ResolverAnswer {
            switch name {
            case "one.example": .now(.addresses([somewhere]))
            case "two.example": .now(.addresses([somewhere, elsewhere]))
            case "six.example": .now(.addresses([farAway]))
            case "inside.example": .now(.addresses([.ipv4(IPv4Address.loopback)]))
            default: .now(.notFound)
            }
        }
    }

    private func withProxy(
        _ configure: (inout Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (_ port: Int, _ sessions: RecordedSessions) throws -> Void
    ) async throws {
        let sessions = RecordedSessions()
        try await withServerObject({
            $0.nameResolver = Names()
            $0.observer = sessions
            configure(&$0)
        }) { _, port in try body(port, sessions) }
    }

    private static func resolve(_ destination: Destination, through port: Int) throws -> SOCKSResponse {
        let client = try TestSocket(connectingTo: port)
        defer { client.close() }
        let response = try client.request(.resolve, destination)
        // The answer is followed by the end.
        #expect(try client.receiveToEnd() == [])
        return response
    }

    private static func named(_ name: String, port: Int = 0) -> Destination {
        Destination(name: name, port: port)
    }

    @Test func theAddressOfANameIsAnsweredInBND() async throws {
        try await withProxy { port, sessions in
            for (index, (name, address)) in [
                ("one.example", somewhere), ("TWO.example.", somewhere), ("six.example", farAway),
            ].enumerated() {
                let response = try Self.resolve(Self.named(name), through: port)
                #expect(response.reply == .succeeded)
                #expect(response.boundAddress.description == address.description(port: 0))
                let info = try sessions.next(after: index)
                #expect(info.command == .resolve && info.command?.word == "resolve")
                #expect(info.outcome == .completed && info.reply == .succeeded && info.stage == .lookup)
                #expect(info.dialAttempts == 0 && info.address == nil && info.bound == nil)
            }
        }
    }

    @Test func anAddressIsItsOwnAnswer() async throws {
        try await withProxy { port, _ in
            for destination in [
                Destination(host: .ipv4(IPv4Address(198, 51, 100, 7)), port: 0),
                Destination(host: .ipv6(IPv6Address(high: 0x2001_0db8_0000_0000, low: 7)), port: 0),
                Self.named("198.51.100.7"), Self.named("[2001:db8::7]"),
            ] {
                let bound = try Self.resolve(destination, through: port).boundAddress
                let expected = destination.description.contains("198") ? somewhere : farAway
                #expect(bound.description == expected.description(port: 0))
            }
        }
    }

    @Test func aNameThatIsNotFoundIsAnsweredAsToCONNECT() async throws {
        try await withProxy { (port, sessions) throws in
            #expect(try Self.resolve(Self.named("no.example"), through: port).reply == .hostUnreachable)
            #expect(try sessions.next(after: 0).outcome == .nameNotFound)
            #expect(try Self.resolve(Self.named("a\\111b"), through: port).reply == .hostUnreachable)
            #expect(try sessions.next(after: 1).outcome == .badDestination)
        }
    }

    @Test func nothingIsDialled() async throws {
        let listener = try TestListener()
        defer { listener.close() }
        let port = listener.port
        try await withProxy { proxy, _ in
            let response = try Self.resolve(Self.named("inside.example", port: port), through: proxy)
            #expect(response.reply == .succeeded)
        }
        #expect(!listener.hasConnection)
    }

    @Test func theGuardHidesAddressesThatCONNECTMayNotReach() async throws {
        try await withProxy({ $0.destinationGuard.mode = .on }) { (port, sessions) throws in
            for (index, destination) in [
                Self.named("inside.example"), .loopback(0), .unspecified, Self.named("0x7f.1"),
            ].enumerated() {
                #expect(try Self.resolve(destination, through: port).reply == .notAllowed)
                #expect(try sessions.next(after: index).outcome == .deniedByGuard)
            }
        }
    }

    @Test func theRulesForCONNECTDecide() async throws {
        let hidden = try [IPNetwork(parsing: "198.51.100.7")]
        let domain = try [DomainPattern(parsing: "six.example")]
        try await withProxy({
            $0.rules = [
                Rule(.deny, commands: [.connect], domains: domain),
                Rule(.deny, commands: [.connect], networks: hidden),
                Rule(.deny, commands: [.bind, .udpAssociate]),
            ]
        }) { port, _ in
            #expect(try Self.resolve(Self.named("six.example"), through: port).reply == .notAllowed)
            #expect(try Self.resolve(Self.named("one.example"), through: port).reply == .notAllowed)
            // A denied address is skipped.
            let response = try Self.resolve(Self.named("two.example"), through: port)
            #expect(response.boundAddress.description == elsewhere.description(port: 0))
        }
    }

    @Test func rulesAboutPortsSeeThePortOfTheRequest() async throws {
        try await withProxy({
            $0.rules = [Rule(.allow, ports: [PortRange(443)]), Rule(.deny)]
        }) { port, _ in
            #expect(try Self.resolve(Self.named("one.example"), through: port).reply == .notAllowed)
            let response = try Self.resolve(Self.named("one.example", port: 443), through: port)
            #expect(response.reply == .succeeded && response.boundAddress.port == 0)
        }
    }

    @Test func aFamilyThatIsNotUsedIsNotAnswered() async throws {
        try await withProxy({ $0.families.only = .ipv4 }) { port, _ in
            let reply = try Self.resolve(Self.named("six.example"), through: port).reply
            #expect(reply == .addressTypeNotSupported)
        }
    }

    @Test func theWayFromAnAddressToANameIsNotSupported() async throws {
        try await withProxy { port, sessions in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(
                Greeting(methods: [.noAuthentication]).encoded + [5, 0xf1, 0, 1, 127, 0, 0, 1, 0, 0]
            )
            #expect(try client.receiveToEnd() == [5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0])
            #expect(try sessions.next(after: 0).reason == "command 241")
        }
    }

    @Test func noRuleIsOnlyAboutRESOLVE() {
        #expect(throws: ConfigurationError.self) { try Rule.command(parsing: "resolve") }
        expectInvalid([{ $0.rules = [Rule(.deny, commands: [.resolve])] }]) { $0.contains("resolve") }
    }
}
