import SOCKS5Protocol
import TestSupport
import Testing

@testable import ProxyPolicy

/// Conclusions from rules before any request: never wrong, and useful for common mistakes.
@Suite struct RuleCoverageTests {
    private static func networks(_ texts: String...) throws -> [IPNetwork] {
        try texts.map { try IPNetwork(parsing: $0) }
    }

    private static func domains(_ texts: String...) throws -> [DomainPattern] {
        try texts.map { try DomainPattern(parsing: $0) }
    }

    private static func ports(_ texts: String...) -> [PortRange] {
        texts.compactMap { try? PortRange(parsing: $0) }
    }

    @Test func aRuleWithoutCriteriaIsCoveredOnlyByOthersWithoutCriteria() throws {
        let all = Rule(.allow)
        let some = [
            Rule(.deny, clients: try Self.networks("0.0.0.0/0", "::/0")), Rule(.deny, users: ["a"]),
            Rule(.deny, commands: [.connect, .bind, .udpAssociate]),
            Rule(.deny, ports: Self.ports("1-65535")),
            Rule(.deny, networks: try Self.networks("0.0.0.0/0", "::/0")),
            Rule(.deny, domains: try Self.domains("*")),
        ]
        #expect(all.covers(Rule(.deny)))
        for rule in some { #expect(all.covers(rule) && !rule.covers(all)) }
    }

    @Test func everyCriterionMustBeWider() throws {
        let wide = Rule(
            .deny,
            clients: try Self.networks("10.0.0.0/8"),
            users: ["a", "b"],
            commands: [.connect, .bind],
            networks: try Self.networks("192.0.2.0/24"),
            domains: try Self.domains(".example.com"),
            ports: Self.ports("1-99")
        )
        var narrow = Rule(
            .allow,
            clients: try Self.networks("10.1.0.0/16"),
            users: ["b"],
            commands: [.bind],
            networks: try Self.networks("192.0.2.1"),
            domains: try Self.domains("a.example.com"),
            ports: Self.ports("5")
        )
        #expect(wide.covers(narrow) && !narrow.covers(wide))
        narrow.users = [Array("c".utf8)]
        #expect(!wide.covers(narrow))
        narrow.users = nil
        #expect(!wide.covers(narrow))
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.1.0.0/16", true), ("10.1.0.0/16", "10.0.0.0/8", false),
        ("0.0.0.0/0", "1.2.3.4", true),
        ("::/0", "2001:db8::/32", true), ("::/0", "1.2.3.4", false), ("0.0.0.0/0", "::/0", false),
        ("10.0.0.0/8", "::ffff:10.0.0.1", true), ("2001:db8::/33", "2001:db8:8000::/33", false),
        ("1.2.3.4", "1.2.3.4/32", true), ("1.2.3.4", "1.2.3.5", false),
    ])
    func aNetworkContainsAllAddressesWithItsBits(_ wide: String, _ narrow: String, _ isContained: Bool) throws
    {
        #expect(try IPNetwork(parsing: wide).contains(IPNetwork(parsing: narrow)) == isContained)
    }

    @Test func portsOfSeveralRangesCoverOneThatSpansThem() {
        let wide = Rule(.deny, ports: Self.ports("100-199", "1-99", "200"))
        #expect(wide.covers(Rule(.deny, ports: Self.ports("50-200", "7"))))
        #expect(!wide.covers(Rule(.deny, ports: Self.ports("50-201"))))
        let gap = Rule(.deny, ports: Self.ports("1-99", "101-200", "65535"))
        #expect(!gap.covers(Rule(.deny, ports: Self.ports("99-101"))))
        #expect(gap.covers(Rule(.deny, ports: Self.ports("65535"))))
    }

    /// Compared with the patterns themselves: a pattern contains another one only if it matches each of its names.
    @Test func aPatternContainsOnlyPatternsAllOfWhoseNamesItMatches() throws {
        let texts = [
            "*", "com", ".com", "*.com", "a.com", ".a.com", "*.a.com", "b.a.com", "c-*.a.com", "*-c.a.com",
            "c-1.a.com",
            "*.c-*.a.com", "aa.com", ".aa.com", "*a.com", "*.*.com", "a.*", "*.net",
        ]
        let names = texts.flatMap { text in
            let plain = text.hasPrefix(".") ? String(text.dropFirst()) : text
            return ["", "x", "a", "c-1", "y.x"].flatMap { star in
                let name = plain.split(separator: "*", omittingEmptySubsequences: false).joined(
                    separator: star
                )
                return [name, "x.\(name)", "y.x.\(name)"]
            }
        }.compactMap { HostName($0) }
        let patterns = try texts.map { try DomainPattern(parsing: $0) }
        let matched = patterns.map { pattern in
            let table = RuleTable([Rule(.deny, domains: [pattern])])
            let subject = Subject(client: Peer(.ipv4(.loopback), port: 1), user: nil, command: .connect)
            return Set(names.filter { table.denial(of: .name($0, port: 80), to: subject) != nil })
        }
        var contained = 0
        for (wide, wideNames) in zip(patterns, matched) {
            for (narrow, narrowNames) in zip(patterns, matched) where wide.contains(narrow) {
                contained += 1
                #expect(narrowNames.isSubset(of: wideNames), "\(wide) contains \(narrow)")
            }
        }
        #expect(contained > 60)
        let some = [
            (".a.com", "b.a.com"), (".a.com", "a.com"), ("*.a.com", "c-*.a.com"), ("*", ".net.example"),
            ("c-*.a.com", "c-1.a.com"), (".com", "*.a.com"), ("*.com", ".a.com"),
        ]
        for (wide, narrow) in some {
            #expect(
                try DomainPattern(parsing: wide).contains(DomainPattern(parsing: narrow)),
                "\(wide) \(narrow)"
            )
        }
    }

    @Test func aHiddenRuleIsFoundWithTheFirstThatHidesIt() throws {
        let rules = [
            Rule(.allow, users: ["a"]), Rule(.deny, ports: Self.ports("1-99")),
            Rule(.deny, ports: Self.ports("25")),
            Rule(.allow, users: ["a"], ports: Self.ports("25")), Rule(.deny), Rule(.allow, users: ["b"]),
            Rule(.allow),
        ]
        let hidden = rules.hidden()
        #expect(hidden.map(\.rule) == [2, 3, 5, 6])
        #expect(hidden.map(\.by) == [1, 0, 4, 4])
    }

    /// A rule that is reported as hidden can be left out: no answer changes for any request.
    @Test func leavingAHiddenRuleOutChangesNoAnswer() throws {
        var random = SeededGenerator(seed: 12)
        func some<Value>(_ values: [Value]) -> [Value]? {
            let chosen = values.filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
            return chosen.isEmpty || Int.random(in: 0..<2, using: &random) == 0 ? nil : chosen
        }
        let networks = try Self.networks(
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::/32"
        )
        let domains = try Self.domains(".a.b", "*.a.b", "a.b", "x.a.b", "x*.a.b", "*")
        let addresses = [
            "10.1.2.3", "10.2.0.0", "192.0.2.1", "2001:db8::1", "::1", "64:ff9b::a01:203", "2002:a01:203::",
        ].compactMap { IPAddress($0) }
        let names = ["a.b", "x.a.b", "y.x.a.b", "b"].compactMap { HostName($0) }
        var found = 0
        for _ in 0..<2000 {
            let rules = (0..<4).map { _ in
                var rule = Rule(Bool.random(using: &random) ? .allow : .deny)
                rule.clients = some(networks)
                rule.users = some(["a", "b"].map { Array($0.utf8) })
                rule.commands = some(SOCKSCommand.allCases)
                rule.networks = some(networks)
                rule.domains = some(domains)
                rule.ports = some(Self.ports("25", "1-99", "80-443"))
                return rule
            }
            guard let (index, _) = rules.hidden().first else { continue }
            found += 1
            var fewer = rules
            fewer.remove(at: index)
            let (table, shorter) = (RuleTable(rules), RuleTable(fewer))
            for address in addresses {
                for name in [nil] + names.map(Optional.some) {
                    for command in SOCKSCommand.allCases {
                        for user in [nil, Array("a".utf8), Array("c".utf8)] {
                            let subject = Subject(
                                client: Peer(addresses[0], port: 1),
                                user: user,
                                command: command
                            )
                            let target = RuleTable.Known.address(address, port: 25, named: name)
                            #expect(
                                (table.denial(of: target, to: subject) == nil)
                                    == (shorter.denial(of: target, to: subject) == nil),
                                "\(rules), without \(index)"
                            )
                        }
                    }
                }
            }
        }
        #expect(found > 200)
    }

    @Test func aHundredThousandNetworksAndAThousandRulesTakeAMoment() throws {
        let networks = try (0..<100_000).map {
            try IPNetwork(parsing: "10.\($0 >> 16).\($0 >> 8 & 255).\($0 & 255)")
        }
        let many = (1...1000).map { Rule(.deny, ports: Self.ports("\($0)")) }
        let start = ContinuousClock.now
        // A pair of such lists isn't compared, and nothing is reported about it.
        let big = [Rule(.deny, networks: networks), Rule(.allow, networks: networks)]
        let named = Rule(.deny, networks: networks, domains: try Self.domains(".a"))
        #expect(big.hidden().isEmpty && !(big + [named]).addressesPass(named))
        #expect((big + [Rule(.deny), Rule(.allow)]).hidden().map(\.rule) == [3])
        #expect((many + [Rule(.deny, ports: Self.ports("7"))]).hidden().map(\.by) == [6])
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    @Test(
        arguments: [
            (["10.0.0.0/8"], [], true), (["10.0.0.0/8", "fc00::/7"], [], true), (["10.1.2.3"], [], true),
            (["10.0.0.0/8"], ["private"], false), (["10.0.0.0/8"], ["all"], false),
            (["10.0.0.0/8"], ["10.1.0.0/16"], false), (["10.1.0.0/16"], ["10.0.0.0/8"], false),
            (["10.0.0.0/8"], ["192.168.0.0/16"], true), (["127.0.0.0/8"], ["private"], true),
            (["169.254.169.254"], ["private"], true), (["fd00:ec2::254"], ["private"], true),
            (["0.0.0.0/0"], [], false), (["::/0"], [], false), (["8.8.8.8"], [], false),
            (["2606:4700::/32"], [], false),
            (["10.0.0.0/7"], [], false), (["2002::/16"], [], false), (["64:ff9b::/96"], [], false),
            (["4000::/3"], [], true),
            (["2000::/4"], [], false), (["2001:db8::/48"], [], true), (["fc00::/7"], ["private"], false),
        ] as [([String], [String], Bool)]
    )
    func theGuardClosesANetworkIfItRefusesAllOfIt(_ texts: [String], _ opened: [String], _ isClosed: Bool)
        throws
    {
        let exceptions = try opened.map { try GuardException(parsing: $0) }
        for text in texts {
            #expect(try exceptions.keepClosed(IPNetwork(parsing: text)) == isClosed, "\(text)")
        }
    }

    @Test func addressesPassADeniedNameUnlessARuleDeniesThemToo() throws {
        let names = Rule(.deny, domains: try Self.domains(".a.b"))
        let ported = Rule(.deny, domains: try Self.domains(".a.b"), ports: Self.ports("80"))
        let networks = try Self.networks("192.0.2.0/24")
        let passing: [[Rule]] = [
            [names], [names, Rule(.allow)], [Rule(.allow), names],
            [names, Rule(.deny, ports: Self.ports("80"))],
            [names, Rule(.deny, networks: networks)], [names, Rule(.allow), Rule(.deny)],
        ]
        for rules in passing { #expect(rules.addressesPass(names), "\(rules)") }
        let closed: [[Rule]] = [
            [names, Rule(.deny)], [names, Rule(.allow, networks: networks), Rule(.deny)],
            [Rule(.deny), names],
            [names, Rule(.deny, networks: try Self.networks("0.0.0.0/0", "::/0"))],
        ]
        for rules in closed { #expect(!rules.addressesPass(names), "\(rules)") }
        #expect(![ported, Rule(.deny, ports: Self.ports("1-99"))].addressesPass(ported))
        #expect([ported, Rule(.deny, ports: Self.ports("443"))].addressesPass(ported))
        #expect(![Rule(.allow, domains: names.domains)].addressesPass(Rule(.allow, domains: names.domains)))
    }
}
