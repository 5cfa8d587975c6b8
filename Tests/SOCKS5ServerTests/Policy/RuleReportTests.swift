import SOCKS5Protocol
import TestSupport
import Testing

@testable import ProxyPolicy
@testable import SOCKS5Server

/// Report-only rules: requests that they would deny are carried out, and reported.
@Suite struct RuleReportTests {
    private static let subject = Subject(client: someone, user: Array("alice".utf8), command: .connect)

    private static func address(_ text: String, port: UInt16 = 80) -> RuleTable.Known {
        .address(IPAddress(text) ?? .ipv4(.any), port: port, named: nil)
    }

    private static func ports(_ text: String) -> [PortRange] { (try? [PortRange(parsing: text)]) ?? [] }

    private static func report(_ rules: [Rule], _ known: RuleTable.Known = address("192.0.2.1")) -> Int? {
        RuleTable(rules).report(of: known, to: subject)
    }

    @Test func reportsDecideNothing() {
        let table = RuleTable([Rule(.report), Rule(.deny, ports: Self.ports("25")), Rule(.allow)])
        #expect(table.verdict(on: Self.address("192.0.2.1"), to: Self.subject) == .allowed)
        #expect(table.verdict(on: Self.address("192.0.2.1", port: 25), to: Self.subject) == .denied(1))
        #expect(RuleTable([Rule(.report)]).verdict(on: .unknown, to: Self.subject) == nil)
    }

    @Test func theFirstRuleThatMatchesIsReportedUnlessOneBeforeItDecides() {
        #expect(Self.report([Rule(.report, ports: Self.ports("81")), Rule(.report)]) == 1)
        #expect(Self.report([Rule(.report), Rule(.report)]) == 0)
        #expect(Self.report([Rule(.report), Rule(.deny)]) == 0)
        #expect(Self.report([Rule(.allow), Rule(.report)]) == nil)
        #expect(Self.report([Rule(.deny), Rule(.report)]) == nil)
        #expect(Self.report([Rule(.deny)]) == nil)
    }

    @Test func aReportThatNeedsTheAddressWaitsForIt() throws {
        let network = [try IPNetwork(parsing: "192.0.2.0/24")]
        let name = try #require(HostName("here.example"))
        let rules = [Rule(.report, networks: network)]
        #expect(Self.report(rules, .name(name, port: 80)) == nil)
        #expect(Self.report(rules) == 0)
        // The rule before it may allow the address.
        let later = [Rule(.allow, networks: network), Rule(.report)]
        #expect(Self.report(later, .name(name, port: 80)) == nil)
    }

    @Test func manyRulesReportByTheirNumber() {
        let rules = (1...200).map { Rule(.report, ports: [PortRange(UInt16($0)...UInt16($0))]) }
        for number in [1, 64, 65, 200] {
            #expect(Self.report(rules, Self.address("192.0.2.1", port: UInt16(number))) == number - 1)
        }
    }

    @Test func theListsAreAskedAsTheyDecide() {
        var alice = ProxyUser(name: "alice", password: "a")
        func report(listener: [Rule], user: [Rule], common: [Rule]) -> Denial? {
            alice.rules = user
            let access = AccessPolicy(
                RuleTable(common),
                UserRules([alice]),
                listeners: [RuleTable(listener)],
                nil,
                nil
            )
            let address = IPAddress("64:ff9b::192.0.2.1") ?? .ipv4(.any)
            return access.report(of: address, port: 80, named: nil, to: Self.subject)
        }
        let (on, off) = ([Rule(.report)], [Rule(.report, ports: Self.ports("1"))])
        #expect(report(listener: on, user: on, common: on) == .listenerRule(1))
        #expect(report(listener: off, user: on, common: on) == .userRule(1))
        #expect(report(listener: off, user: off, common: off + on) == .rule(2))
        #expect(report(listener: [Rule(.allow)], user: on, common: on) == nil)
        #expect(report(listener: [], user: [Rule(.deny)], common: on) == nil)
        // An embedded IPv4 address counts too.
        let inner = (try? [IPNetwork(parsing: "192.0.2.0/24")]) ?? []
        #expect(report(listener: [], user: [], common: [Rule(.report, networks: inner)]) == .rule(1))
    }

    @Test func rulesAreCalledByTheirPlaceIfTheyHaveOne() {
        var (placed, plain) = (Rule(.deny), Rule(.deny))
        placed.place = "socks5d.yaml:12"
        var (alice, bob) = (
            ProxyUser(name: "alice", password: "a"), ProxyUser(name: "bob", password: "b")
        )
        alice.rules = [placed]
        placed.place = "socks5d.yaml:20"
        bob.rules = [placed]
        let users = UserRules([alice, bob])
        #expect(users.count == 1)
        plain.place = nil
        let access = AccessPolicy(
            RuleTable([plain, placed]),
            users,
            listeners: [RuleTable([placed])],
            nil,
            nil
        )
        func name(_ denial: Denial) -> String? { access.name(of: denial, to: Self.subject) }
        #expect(name(.rule(1)) == "rule 1" && name(.rule(2)) == "socks5d.yaml:20")
        #expect(name(.userRule(1)) == "socks5d.yaml:12" && name(.listenerRule(1)) == "socks5d.yaml:20")
        #expect(name(.userRule(2)) == "user's rule 2" && name(.listenerRule(2)) == "listener's rule 2")
        #expect(name(.ruleSet) == "rule set" && name(.destination(.loopback)) == nil)
    }

    @Test func aReportHidesNoRuleAndIsHiddenByOnesThatDecide() {
        #expect([Rule(.report), Rule(.deny)].hidden().isEmpty)
        #expect([Rule(.report), Rule(.report)].hidden().map(\.rule) == [1])
        #expect([Rule(.allow), Rule(.report)].hidden().map(\.rule) == [1])
    }

    // MARK: - Over the wire

    private struct Names: NameResolver {
        func resolve(_ name: String) -> ResolverAnswer { .now(.addresses([.ipv4(.loopback)])) }
    }

    private func withReports(
        _ rules: [Rule],
        _ body: @escaping @Sendable (ProxyServer, RecordedSessions, Int) throws -> Void
    ) async throws {
        let sessions = RecordedSessions()
        try await withServerObject({
            $0.observer = sessions
            $0.nameResolver = Names()
            $0.rules = rules
        }) { server, port in
            try body(server, sessions, port)
        }
    }

    private static func reported(_ server: ProxyServer) -> [(rule: String, count: UInt64)] {
        server.metrics().decisions.filter { $0.decision.word == "would_deny" }.map {
            ($0.decision.rule, $0.count)
        }
    }

    @Test func aRequestThatWouldBeDeniedIsCarriedOut() async throws {
        try await withReports([Rule(.report, domains: [try DomainPattern(parsing: "*.example")])]) {
            server,
            sessions,
            port in
            let target = TestListener.unusedPort()
            try expect(.connectionRefused, through: port, to: Destination(name: "a.example", port: target))
            #expect(try sessions.next(after: 0).wouldDeny == "rule 1")
            try expect(.connectionRefused, through: port, to: .loopback(target))
            #expect(try sessions.next(after: 1).wouldDeny == nil)
            let reported = Self.reported(server)
            #expect(reported.count == 1 && reported[0] == ("rule 1", 1))
        }
    }

    @Test func theAddressThatANameLeadsToIsReportedToo() async throws {
        let rules = [Rule(.report, networks: [try IPNetwork(parsing: "127.0.0.0/8")])]
        try await withReports(rules) { server, sessions, port in
            let listener = try TestListener()
            defer { listener.close() }
            let targets = [Destination(name: "a.example", port: listener.port), .loopback(listener.port)]
            for (index, target) in targets.enumerated() {
                let client = try TestSocket.tunnel(through: port, to: target)
                let far = try listener.accept()
                client.close()
                far.close()
                #expect(try sessions.next(after: index).wouldDeny == "rule 1")
            }
            #expect(Self.reported(server).map(\.count) == [2])
        }
    }

    @Test func anEarlierRuleMayReportADeniedRequest() async throws {
        try await withReports([Rule(.report), Rule(.deny)]) { _, sessions, port in
            try expect(.notAllowed, through: port, to: .loopback(1))
            let info = try sessions.next(after: 0)
            // A denial takes precedence.
            #expect(info.rule == "rule 2" && info.outcome == .deniedByRule)
        }
    }

    @Test func aDatagramThatWouldBeDroppedIsRelayedAndReportedOnce() async throws {
        try await withReports([
            Rule(.report, commands: [.udpAssociate], networks: [try IPNetwork(parsing: "127.0.0.1")])
        ]) { server, sessions, port in
            let association = try TestAssociation(through: port)
            let target = try TestDatagramSocket()
            defer { target.close() }
            for _ in 0..<3 { try association.expectEcho(of: [1], from: target) }
            association.close()
            #expect(try sessions.next(after: 0).wouldDeny == "rule 1")
            #expect(Self.reported(server).map(\.count) == [1])
        }
    }
}
