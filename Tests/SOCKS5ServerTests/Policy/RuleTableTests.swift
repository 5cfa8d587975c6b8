import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

@testable import ProxyPolicy
@testable import SOCKS5Server

@Suite struct RuleTableTests {
    private static let anyone = Subject(
        client: Peer(.ipv4(IPv4Address(10, 0, 0, 1)), port: 1),
        user: nil,
        command: .connect
    )

    private static func at(
        _ text: String,
        _ port: UInt16 = 80,
        named name: HostName? = nil
    ) throws -> RuleTable.Known {
        .address(try #require(IPAddress(text)).dialled, port: port, named: name)
    }

    private static func subject(
        _ client: String = "10.0.0.1",
        _ user: String? = nil,
        _ command: SOCKSCommand = .connect
    ) throws -> Subject {
        Subject(client: Peer(try host(client), port: 1), user: user.map { Array($0.utf8) }, command: command)
    }

    private static func network(_ text: String) throws -> IPNetwork { try IPNetwork(parsing: text) }
    private static func domain(_ text: String) throws -> DomainPattern { try DomainPattern(parsing: text) }
    private static func name(_ text: String) throws -> HostName { try #require(HostName(text)) }

    @Test func withoutRulesAllIsAllowed() throws {
        let rules = RuleTable([])
        #expect(rules.denial(of: .unknown, to: Self.anyone) == nil)
        #expect(rules.denial(of: .name(try Self.name("a.b"), port: 80), to: Self.anyone) == nil)
        #expect(rules.denial(of: try Self.at("1.2.3.4"), to: Self.anyone) == nil)
    }

    @Test func aRuleWithoutCriteriaMatchesAll() throws {
        let rules = RuleTable([Rule(.deny)])
        #expect(rules.denial(of: .unknown, to: Self.anyone) == 0)
        #expect(rules.denial(of: .name(try Self.name("a.b"), port: 80), to: Self.anyone) == 0)
        #expect(rules.denial(of: try Self.at("::1"), to: Self.anyone) == 0)
    }

    @Test func theCandidatesOfASubjectEndWithTheFirstCertainRule() throws {
        let rules = RuleTable([
            Rule(.deny, networks: [try Self.network("10.0.0.0/8")]),
            Rule(.deny, clients: [try Self.network("192.0.2.0/24")]),
            Rule(.allow, domains: [try Self.domain("a.b")]),
            Rule(.deny, users: ["alice"], ports: [PortRange(80...80)]), Rule(.deny, users: ["bob"]),
            Rule(.allow, ports: [PortRange(80...80)]),
        ])
        func candidates(_ client: String, _ user: String? = nil) throws -> [Int] {
            let (candidates, isLastCertain) = rules.candidates(for: try Self.subject(client, user))
            return candidates + (isLastCertain ? [] : [-1])
        }
        #expect(try candidates("10.0.0.1") == [0, 2, 5, -1])
        #expect(try candidates("10.0.0.1", "alice") == [0, 2, 3, 5, -1])
        #expect(try candidates("10.0.0.1", "bob") == [0, 2, 4])
        #expect(try candidates("192.0.2.1", "bob") == [0, 1])
        #expect(RuleTable([]).candidates(for: Self.anyone).rules.isEmpty)
        let many = RuleTable((0..<200).map { _ in Rule(.deny, ports: [PortRange(80...80)]) } + [Rule(.deny)])
        #expect(many.candidates(for: Self.anyone) == (Array(0...200), true))
    }

    @Test func requestsThatNoRuleMatchesAreAllowed() throws {
        let rules = RuleTable([Rule(.deny, networks: [try Self.network("10.0.0.0/8")])])
        #expect(rules.denial(of: try Self.at("11.0.0.1"), to: Self.anyone) == nil)
    }

    @Test func theFirstMatchDecides() throws {
        let rules = RuleTable([
            Rule(.allow, networks: [try Self.network("10.1.0.0/16")]),
            Rule(.deny, networks: [try Self.network("10.0.0.0/8")]),
            Rule(.allow, networks: [try Self.network("10.2.0.0/16")]),
        ])
        #expect(rules.denial(of: try Self.at("10.1.2.3"), to: Self.anyone) == nil)
        #expect(rules.denial(of: try Self.at("10.2.2.3"), to: Self.anyone) == 1)
        #expect(
            rules.denial(of: try Self.at("::ffff:10.2.2.3"), to: Self.anyone) == 1
        )
    }

    @Test func everyCriterionMustHoldAndOneValueOfEach() throws {
        let rule = Rule(
            .deny,
            clients: [try Self.network("192.0.2.0/24"), try Self.network("2001:db8::/32")],
            users: ["alice", "bob"],
            commands: [.connect, .udpAssociate],
            networks: [try Self.network("10.0.0.0/8"), try Self.network("fc00::/7")],
            domains: [try Self.domain(".x.test"), try Self.domain("y.test")],
            ports: [try PortRange(parsing: "25"), try PortRange(parsing: "80-90")]
        )
        let rules = RuleTable([rule])
        func denies(
            _ client: String = "192.0.2.9",
            _ user: String? = "bob",
            _ command: SOCKSCommand = .udpAssociate,
            _ target: String = "10.9.9.9",
            _ name: String? = "a.x.test",
            _ port: UInt16 = 85
        ) throws -> Bool {
            let target = try Self.at(target, port, named: try name.map(Self.name))
            return rules.denial(of: target, to: try Self.subject(client, user, command)) == 0
        }
        #expect(try denies())
        #expect(try denies("2001:db8::7", "alice", .connect, "fd00::1", "Y.test.", 25))
        #expect(try denies("::ffff:192.0.2.1"))
        #expect(try !denies("192.0.3.1"))
        #expect(try !denies("192.0.2.1", "carol"))
        #expect(try !denies("192.0.2.1", nil))
        #expect(try !denies("192.0.2.1", "bob", .bind))
        #expect(try !denies("192.0.2.1", "bob", .connect, "11.0.0.1"))
        #expect(try !denies("192.0.2.1", "bob", .connect, "10.0.0.1", "x.y.test"))
        #expect(try !denies("192.0.2.1", "bob", .connect, "10.0.0.1", nil))
        #expect(try !denies("192.0.2.1", "bob", .connect, "10.0.0.1", "y.test", 91))
    }

    @Test func aNameIsDeniedBeforeTheLookupOnlyForCertain() throws {
        let byNetwork = Rule(.deny, networks: [try Self.network("10.0.0.0/8")])
        let byDomain = Rule(.deny, domains: [try Self.domain(".x.test")])
        let allowNetwork = Rule(.allow, networks: [try Self.network("10.1.0.0/16")])
        let name = RuleTable.Known.name(try Self.name("a.x.test"), port: 80)
        #expect(RuleTable([byNetwork]).denial(of: name, to: Self.anyone) == nil)
        #expect(RuleTable([byDomain]).denial(of: name, to: Self.anyone) == 0)
        #expect(RuleTable([byNetwork, byDomain]).denial(of: name, to: Self.anyone) == 1)
        #expect(RuleTable([allowNetwork, byDomain]).denial(of: name, to: Self.anyone) == nil)
        #expect(RuleTable([allowNetwork, Rule(.deny)]).denial(of: name, to: Self.anyone) == nil)
        let allowedAddress = try Self.at("10.1.0.1", named: Self.name("a.x.test"))
        #expect(RuleTable([allowNetwork, byDomain]).denial(of: allowedAddress, to: Self.anyone) == nil)
    }

    @Test func anAddressInNoNetworkIsDeniedByItsNameOrByARuleForAnyHost() throws {
        let hosts = [
            Rule(.deny, networks: [try Self.network("10.0.0.0/8")]),
            Rule(.deny, domains: [try Self.domain(".x.test")]),
        ]
        let ofAnyHost = Rule(.deny, ports: [PortRange(80...80)])
        let named = try Self.at("11.0.0.1", 80, named: try Self.name("a.x.test"))
        #expect(RuleTable(hosts).denial(of: try Self.at("11.0.0.1", 80), to: Self.anyone) == nil)
        #expect(RuleTable(hosts).denial(of: named, to: Self.anyone) == 1)
        #expect(RuleTable(hosts + [ofAnyHost]).denial(of: try Self.at("11.0.0.1", 80), to: Self.anyone) == 2)
    }

    @Test func aDomainThatIsAllowedFirstIsAllowedAtAnyAddress() throws {
        let rules = RuleTable([
            Rule(.allow, domains: [try Self.domain("intranet.test")]),
            Rule(.deny, networks: [try Self.network("10.0.0.0/8")]),
        ])
        func denial(_ name: String?) throws -> Int? {
            rules.denial(of: try Self.at("10.0.0.1", named: try name.map(Self.name)), to: Self.anyone)
        }
        #expect(try denial("intranet.test") == nil)
        #expect(try denial("evil.test") == 1)
        #expect(try denial(nil) == 1)
    }

    @Test func aCommandWithoutATargetIsDeniedOnlyForCertain() throws {
        let udp = try Self.subject("10.0.0.1", nil, .udpAssociate)
        #expect(RuleTable([Rule(.deny, commands: [.udpAssociate])]).denial(of: .unknown, to: udp) == 0)
        #expect(RuleTable([Rule(.deny, commands: [.bind])]).denial(of: .unknown, to: udp) == nil)
        let port53 = PortRange(53)
        let onlyDNS = RuleTable([Rule(.allow, ports: [port53]), Rule(.deny)])
        #expect(onlyDNS.denial(of: .unknown, to: udp) == nil)
        #expect(onlyDNS.denial(of: try Self.at("1.1.1.1", 53), to: udp) == nil)
        #expect(onlyDNS.denial(of: try Self.at("1.1.1.1", 54), to: udp) == 1)
    }

    /// More rules than a word has bits, each of them the first to match once.
    @Test(arguments: [1, 63, 64, 65, 200]) func anyNumberOfRulesIsAsked(_ count: Int) throws {
        let rules = RuleTable(
            (0..<count).map { index in
                Rule(.deny, ports: [PortRange(UInt16(index + 1)...UInt16(count))])
            }
        )
        for index in 0..<count {
            let target = try Self.at("1.2.3.4", UInt16(index + 1))
            #expect(rules.denial(of: target, to: Self.anyone) == 0)
        }
        let reversed = RuleTable(
            (0..<count).map { index in
                Rule(.deny, ports: [PortRange(UInt16(index + 1))])
            } + [Rule(.allow), Rule(.deny)]
        )
        for index in 0..<(count + 10) {
            let target = try Self.at("1.2.3.4", UInt16(index + 1))
            #expect(reversed.denial(of: target, to: Self.anyone) == (index < count ? index : nil))
        }
    }

    @Test(arguments: ["clients", "users", "commands", "networks", "domains", "ports"])
    func aCriterionWithoutAValueIsRefused(_ criterion: String) {
        var rule = Rule(.allow)
        switch criterion {
        case "clients": rule.clients = []
        case "users": rule.users = []
        case "commands": rule.commands = []
        case "networks": rule.networks = []
        case "domains": rule.domains = []
        default: rule.ports = []
        }
        var configuration = Configuration()
        configuration.rules = [Rule(.deny), rule]
        let error = #expect(throws: ProxyServerError.self) { try ProxyServer(configuration: configuration) }
        #expect(error?.code == .invalidConfiguration)
        #expect(
            error?.description
                == "rule 2 has \(criterion) without a value; expected at least one, or no \(criterion) at all"
        )
    }

    @Test func commandsAreReadByTheirNames() throws {
        #expect(try Rule.command(parsing: "connect") == .connect)
        #expect(try Rule.command(parsing: "BIND") == .bind)
        #expect(try Rule.command(parsing: "udp-associate") == .udpAssociate)
        for text in ["", "udp", "connect ", "1"] {
            let error = #expect(throws: ConfigurationError.self) { try Rule.command(parsing: text) }
            #expect(error?.description.contains("expected connect, bind or udp-associate") == true)
        }
    }

    @Test(arguments: [1, 2]) func noTextIsTooOddToBeRead(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let letters = Array("0123456789abcdefx.:/-*_%[] A\n\u{e9}\u{0}")
        for _ in 0..<(isQuick ? 2_000 : 20_000) {
            let length = Int.random(in: 0...20, using: &random)
            let text = String((0..<length).compactMap { _ in letters.randomElement(using: &random) })
            if let network = try? IPNetwork(parsing: text) {
                #expect((try? IPNetwork(parsing: network.description)) == network, "'\(text)', seed \(seed)")
            }
            if let domain = try? DomainPattern(parsing: text) {
                #expect(
                    (try? DomainPattern(parsing: domain.description)) == domain,
                    "'\(text)', seed \(seed)"
                )
            }
            if let range = try? PortRange(parsing: text) { #expect(range.lowest <= range.highest) }
            _ = try? GuardException(parsing: text)
            _ = try? Rule.command(parsing: text)
        }
    }

    // MARK: - Against a model

    /// 10⁵ requests, each asked three times: with nothing known, by name, and by address.
    @Test(arguments: [1, 2, 3, 4]) func theTablesAgreeWithReadingTheRulesInOrder(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for round in 0..<(isQuick ? 60 : 600) {
            let rules = try (0..<Int.random(in: 0...8, using: &random)).map { _ in try Self.rule(&random) }
            let compiled = RuleTable(rules)
            for _ in 0..<15 {
                let subject = Subject(
                    client: Peer(Self.small(&random), port: 1),
                    user: [nil, [97], [98]].randomElement(using: &random) ?? nil,
                    command: SOCKSCommand.allCases.randomElement(using: &random) ?? .connect
                )
                let address = Self.small(&random)
                let port = UInt16.random(in: 1...8, using: &random)
                let name =
                    Bool.random(using: &random)
                    ? try Self.name(["a.b", "b", "c.b"].randomElement(using: &random) ?? "b") : nil
                var targets = [RuleTable.Known.unknown, .address(address, port: port, named: name)]
                if let name { targets.append(.name(name, port: port)) }
                for target in targets {
                    if compiled.denial(of: target, to: subject) != Self.model(rules, target, subject) {
                        Issue.record("\(rules), \(target), \(subject), seed \(seed), round \(round)")
                    }
                }
            }
        }
    }

    private static func small(_ random: inout SeededGenerator) -> IPAddress {
        .ipv4(IPv4Address(rawValue: UInt32.random(in: 0...7, using: &random)))
    }

    private static func rule(_ random: inout SeededGenerator) throws -> Rule {
        func some<Value>(_ values: [Value]) -> [Value]? {
            guard Int.random(in: 0..<3, using: &random) == 0 else { return nil }
            return Array(values.shuffled(using: &random).prefix(Int.random(in: 1...2, using: &random)))
        }
        let networks = (0...7 as ClosedRange<UInt32>).map {
            IPNetwork(.ipv4(IPv4Address(rawValue: $0)), length: 29 + Int($0 % 4))
        }
        let ports = [(1, 1), (2, 5), (4, 8), (8, 9)].map { PortRange($0.0...$0.1) }
        let domains = try ["a.b", ".b", "*.b", "a*.b", "*"].map(domain)
        return Rule(
            Bool.random(using: &random) ? .allow : .deny,
            clients: some(networks),
            users: some(["a", "b"]),
            commands: some(SOCKSCommand.allCases),
            networks: some(networks),
            domains: some(domains),
            ports: some(ports)
        )
    }

    /// Known facts decide; unknown ones may be either.
    private static func model(_ rules: [Rule], _ target: RuleTable.Known, _ subject: Subject) -> Int? {
        for (index, rule) in rules.enumerated() {
            let answers: [Bool?] = [
                rule.clients.map { $0.contains { isIn($0, subject.client.address) } } ?? true,
                rule.users.map { users in subject.user.map(users.contains) ?? false } ?? true,
                rule.commands.map { $0.contains(subject.command) } ?? true,
                networks(rule, target), domains(rule, target), ports(rule, target),
            ]
            if answers.contains(false) { continue }
            if rule.action == .allow { return nil }
            if !answers.contains(nil) { return index }
        }
        return nil
    }

    private static func networks(_ rule: Rule, _ target: RuleTable.Known) -> Bool? {
        guard let networks = rule.networks else { return true }
        guard case .address(let address, _, _) = target else { return nil }
        return networks.contains { isIn($0, address) }
    }

    private static func domains(_ rule: Rule, _ target: RuleTable.Known) -> Bool? {
        guard let domains = rule.domains else { return true }
        let known: HostName?
        switch target {
        case .unknown: return nil
        case .name(let name, _): known = name
        case .address(_, _, let name): known = name
        }
        guard let name = known?.description else { return false }
        return domains.contains { pattern in
            switch pattern.description {
            case ".b": name == "b" || name.hasSuffix(".b")
            case "*.b": name.hasSuffix(".b")
            case "a*.b": name == "a.b"
            case "*": true
            default: pattern.description == name
            }
        }
    }

    private static func ports(_ rule: Rule, _ target: RuleTable.Known) -> Bool? {
        guard let ports = rule.ports else { return true }
        switch target {
        case .unknown: return nil
        case .name(_, let port), .address(_, let port, _):
            return ports.contains { ($0.lowest...$0.highest).contains(port) }
        }
    }

    private static func isIn(_ network: IPNetwork, _ address: IPAddress?) -> Bool {
        guard case .ipv4(let address) = address, case .ipv4(let first, let length) = network.prefix else {
            return false
        }
        return address.rawValue / (1 << (32 - UInt32(length))) == first / (1 << (32 - UInt32(length)))
    }
}
