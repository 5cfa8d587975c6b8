import TestSupport
import Testing

/// `socks5d routes`: the predicted result of a request.
@Suite struct RoutesCommandTests {
    private static let file = """
        users:
          - {name: alice, password: x, clients: [127.0.0.0/8], routes: [{ports: [22], via: office}]}
          - {name: old, password: x, expires: 2001-01-01}
        listeners:
          - {address: 127.0.0.1:1081, name: inside, login: never, clients: [127.0.0.0/8, 10.0.0.0/8]}
          - {address: 127.0.0.1:1082, routes: [{domains: [listener.example], via: tor}]}
        rules: [{deny: {ports: [25]}}, {deny: {commands: [udp-associate], ports: [53]}}]
        guard: {mode: on, allow: [10.0.0.0/8]}
        parents:
          tor: {socks5: 127.0.0.1:9050}
          office: {http: proxy.example:3128}
          far: {socks5: far.example:1080, through: office}
          all: {any-of: [far, tor]}
        routes:
          - {domains: [.onion], via: tor}
          - {networks: [10.0.0.0/8], names: local, via: direct}
          - {ports: [853], via: tor, udp: direct}
          - {ports: [5000], via: office}
          - {users: [alice], via: all}
        """

    private static let allowed = "allowed: no rule and no guard refuses it"
    private static let byParent = "name: looked up by the parent; rules and guard see no address"
    private static let here = "name: looked up by this server; rules and guard judge each address"

    /// Lines that name a line of the file end with its number.
    @Test(
        arguments: [
            (["a.onion:80"], 0, [allowed, "route: FILE:15", "way: through tor", byParent]),
            (["10.1.2.3:80"], 0, [allowed, "route: FILE:16", "way: direct"]),
            (
                ["example.com:80"], 0,
                [
                    allowed,
                    "route: FILE:16, if an address of the name is in its networks", "way: direct",
                    "route without an address in the networks of any: none matches, direct", here,
                ]
            ),
            (
                ["example.com:5000"], 0,
                [
                    allowed, "route: FILE:16, if an address of the name is in its networks", "way: direct",
                    "route without an address in the networks of any: FILE:18, through office", here,
                ]
            ),
            (
                ["192.0.2.1:80"], 1,
                ["refused: guard: documentation, with reply 2", "route: none matches", "way: direct"]
            ),
            (
                ["198.18.0.1:25"], 1,
                ["refused: rule 1 (FILE:7), with reply 2", "route: none matches", "way: direct"]
            ),
            (["8.8.8.8:80"], 0, [allowed, "route: none matches", "way: direct"]),
            (["[::ffff:10.1.2.3]:80"], 0, [allowed, "route: FILE:16", "way: direct"]),
            // 10.1.2.3 by NAT64, by 6to4, and as the client of a Teredo address.
            (["[64:ff9b::a01:203]:80"], 0, [allowed, "route: FILE:16", "way: direct"]),
            (["[2002:a01:203::1]:80"], 0, [allowed, "route: FILE:16", "way: direct"]),
            (["[2001:0:808:808::f5fe:fdfc]:80"], 0, [allowed, "route: FILE:16", "way: direct"]),
            (["[64:ff9b::808:808]:80"], 0, [allowed, "route: none matches", "way: direct"]),
            (["8.8.8.8:853"], 0, [allowed, "route: FILE:17", "way: through tor"]),
            (["8.8.8.8:853", "--udp"], 0, [allowed, "route: FILE:17", "way: direct"]),
            (
                ["8.8.8.8:53", "--udp"], 1,
                ["refused: rule 2 (FILE:7), with reply 2", "route: none matches", "way: direct"]
            ),
            (
                ["8.8.8.8:5000", "--udp"], 1,
                [
                    allowed, "route: FILE:18", "way: through office",
                    "datagrams: none of these parents takes them; without another route for some, reply 7",
                ]
            ),
            (
                ["8.8.8.8:80", "--listener", "127.0.0.1:1082", "--user", "alice"], 0,
                [allowed, "route: FILE:19", "way: through office and then far; otherwise through tor"]
            ),
            (
                ["8.8.8.8:22", "--listener", "127.0.0.1:1082", "--user", "alice"], 0,
                [allowed, "route: FILE:2", "way: through office"]
            ),
            (
                ["listener.example:22", "--listener", "127.0.0.1:1082", "--user", "alice"], 0,
                [allowed, "route: FILE:6", "way: through tor", byParent]
            ),
            (
                ["8.8.8.8:80", "--listener", "127.0.0.1:1082"], 1,
                ["refused: the client must log in (--user)", "route: none matches", "way: direct"]
            ),
            (
                ["8.8.8.8:22", "--listener", "127.0.0.1:1082", "--user", "alice", "--client", "10.0.0.1"], 1,
                [
                    "refused: the user doesn't exist, or can't log in now or from there", "route: FILE:2",
                    "way: through office",
                ]
            ),
            (
                ["8.8.8.8:80", "--listener", "127.0.0.1:1082", "--user", "old"], 1,
                [
                    "refused: the user doesn't exist, or can't log in now or from there",
                    "route: none matches",
                    "way: direct",
                ]
            ),
            (
                ["8.8.8.8:80", "--listener", "inside", "--client", "192.0.2.1"], 1,
                [
                    "refused: the listener serves no such client, and closes the connection",
                    "route: none matches",
                    "way: direct",
                ]
            ),
        ] as [([String], Int32, [String])]
    )
    func theRouteOfARequestIsShown(_ arguments: [String], _ exitCode: Int32, _ lines: [String]) async throws {
        try await withFile(Array(Self.file.utf8)) { file in
            let result = try await Invocation(["routes"] + arguments + ["--config", file]).run()
            #expect(result.exitCode == exitCode && result.errors.isEmpty, "\(result.errors)")
            let name = file.split(separator: "/").last ?? ""
            let told = result.output.replacing(file, with: "FILE").replacing(name, with: "FILE")
            #expect(told.split(separator: "\n").map(String.init) == lines)
        }
    }

    @Test func withRandomChoiceAnyMemberMayComeFirst() async throws {
        let file =
            "parents: {a: {socks5: h:1}, b: {socks5: h:2}, g: {any-of: [a, b], choose: random}}\nroutes: [{via: g}]"
        try await withFile(Array(file.utf8)) { file in
            let result = try await Invocation("routes", "8.8.8.8:80", "--config", file).run()
            let ways = ["way: through a; or through b", "way: through b; or through a"]
            #expect(ways.contains { result.output.contains("\($0)\n") }, "\(result.output)")
        }
    }

    @Test func theVariableOfAParentCountsToo() async throws {
        let environment = ["SOCKS5D_PARENT": "http://a:hunter2@h.example:1"]
        let result = try await Invocation("routes", "a.example:80", environment: environment).run()
        let told = [Self.allowed, "route: SOCKS5D_PARENT", "way: through parent", Self.byParent]
        #expect(result.exitCode == 0 && result.output.split(separator: "\n").map(String.init) == told)
    }

    @Test func aSessionIDIsNoPartOfTheUsersName() async throws {
        let file = "session-ids: true\nusers: [{name: alice, password: x}]"
        try await withFile(Array(file.utf8)) { path in
            for (user, exitCode) in [("alice-session-7", Int32(0)), ("bob-session-7", 1)] {
                let result = try await Invocation("routes", "8.8.8.8:80", "--user", user, "--config", path)
                    .run()
                #expect(result.exitCode == exitCode, "\(user): \(result.output)")
            }
        }
    }

    @Test func theEgressAddressIsShown() async throws {
        let file = """
            session-ids: true
            users: [{name: alice, password: x}, {name: bob, password: x, egress-addresses: [192.0.2.9]}]
            egress: {addresses: [192.0.2.1, 192.0.2.2, "2001:db8::1"], choose: same-for-session-id}
            parents: {p: {socks5: h:1}}
            routes:
              - {ports: [81], via: direct, egress: {addresses: [198.51.100.1]}}
              - {ports: [82], networks: [10.0.0.0/8], names: local, via: direct, egress: {addresses: [198.51.100.1]}}
            """
        try await withFile(Array(file.utf8)) { file in
            func egress(_ target: String, _ user: String) async throws -> String? {
                let result = try await Invocation("routes", target, "--user", user, "--config", file).run()
                return result.output.split(separator: "\n").first { $0.hasPrefix("egress: ") }.map(
                    String.init
                )
            }
            var told: Set<String?> = []
            for id in 1...2 { told.insert(try await egress("8.8.8.8:80", "alice-session-\(id)")) }
            let addresses = ["192.0.2.1", "192.0.2.2"].map { "egress: from \($0)" }
            #expect(told == Set(addresses))
            let any = "egress: chosen for each connection"
            #expect(try await egress("8.8.8.8:80", "alice") == any)
            #expect(try await egress("8.8.8.8:80", "bob") == "egress: from 192.0.2.9")
            #expect(try await egress("[2606:4700::1]:80", "bob") == "egress: from 2001:db8::1")
            #expect(try await egress("[::ffff:8.8.8.8]:80", "bob") == "egress: from 192.0.2.9")
            #expect(try await egress("a.example:80", "bob") == "egress: from 192.0.2.9 and 2001:db8::1")
            #expect(try await egress("8.8.8.8:81", "alice-session-1") == "egress: from 198.51.100.1")
            #expect(try await egress("a.example:82", "alice-session-1") == nil, "its address decides")
        }
    }

    /// As above, where every route is about networks or domains, and a route through a network may be the only one.
    @Test(arguments: ["10.1.2.3", "[64:ff9b::a01:203]", "[2002:a01:203::1]", "[2001:0:808:808::f5fe:fdfc]"])
    func aWrappedAddressIsInTheNetworksOfTheOnlyRoute(_ host: String) async throws {
        let file = "parents: {p: {socks5: h:1}}\nroutes: [{networks: [10.0.0.0/8], via: p}]"
        try await withFile(Array(file.utf8)) { file in
            let result = try await Invocation("routes", "\(host):80", "--config", file).run()
            #expect(result.output.contains("way: through p"), "\(result.output)")
        }
    }

    @Test(arguments: [
        (["a.example"], "the target is 'a.example'; expected HOST:PORT"),
        (["a b:80"], "the target is 'a b:80'; expected HOST:PORT"),
        (["a:80", "--client", "here"], "--client is 'here'; expected an address"),
        (["a:80", "--listener", "x"], "--listener is 'x'; expected one of 127.0.0.1:1080"),
    ])
    func unreadableArgumentsAreReported(_ arguments: [String], _ told: String) async throws {
        try await expectRefusal(of: Invocation(["routes"] + arguments), exitCode: 64, saying: told)
    }
}
