import Glibc
import ProxyPolicy
import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server
@testable import socks5d

/// Parents and routes of the configuration file.
@Suite struct RouteSettingsTests {
    private static func loaded(_ text: String) async throws -> Loaded {
        var loaded: Loaded?
        try await withFile(Array(text.utf8)) { file in
            loaded = try Loaded(Options.parse(["--config", file]), .ofProcess())
        }
        return try #require(loaded)
    }

    private static let parents = """
        users: [{name: alice, password: x, routes: [{domains: [.a.example], via: all}]}]
        listeners: [{address: 127.0.0.1:1, routes: [{users: [alice], clients: [10.0.0.0/8], via: near}]}]
        parents:
          near: {socks5: "[2001:db8::1]:1080", pipelined: true}
          far: {http: Far.example.:3128, user: bob, password: "p: w", through: near}
          old: {socks4: unix:/run/old.sock, user: carol}
          all: {any-of: [far, near*3], choose: least-sessions, check: {every: 5s, to: "[2001:db8::2]:443"}}
        routes:
          - {networks: [10.0.0.0/8], names: local, via: direct}
          - {ports: [80, 443], via: all, udp: direct, egress: {addresses: [127.0.0.1], mark: 7}}
          - {via: old}
        """

    // MARK: - What is read

    @Test func parentsAndGroupsHaveTheNamesOfTheFile() async throws {
        let configuration = try await Self.loaded(Self.parents).configuration
        #expect(configuration.parents.map(\.name) == ["near", "far", "old"])
        let (near, far, old) = (
            configuration.parents[0], configuration.parents[1], configuration.parents[2]
        )
        #expect(near.kind == .socks5 && near.isPipelined && near.credentials == nil && near.through == nil)
        #expect(near.place == .tcp(.address(try #require(IPAddress("2001:db8::1")), port: 1080)))
        #expect(far.kind == .http && !far.isPipelined && far.through == "near")
        #expect(far.place == .tcp(.name(try #require(HostName("far.example")), port: 3128)))
        #expect(far.credentials == Credentials(username: "bob", password: "p: w"))
        #expect(old.kind == .socks4 && old.place == .unix(path: "/run/old.sock"))
        #expect(old.credentials == Credentials(username: "carol", password: ""))
        let group = try #require(configuration.parentGroups.first)
        #expect(configuration.parentGroups.count == 1 && group.name == "all")
        #expect(group.members == [.init("far"), .init("near", weight: 3)] && group.choice == .leastSessions)
        let target = Target.address(try #require(IPAddress("2001:db8::2")), port: 443)
        #expect(group.check == .init(every: .seconds(5), to: target))
    }

    @Test func routesStandForAllPerListenerAndPerUser() async throws {
        let configuration = try await Self.loaded(Self.parents).configuration
        let routes = configuration.routes
        #expect(routes.map(\.way) == [.direct, .parent("all"), .parent("old")])
        #expect(routes.map(\.names) == [.local, .remote, .remote])
        #expect(routes.map(\.sendsDatagramsDirectly) == [false, true, false])
        #expect(routes[0].networks?.map(\.description) == ["10.0.0.0/8"])
        #expect(routes[1].ports?.count == 2 && routes[1].egress?.mark == 7)
        #expect(routes.map { $0.place?.split(separator: ":").last } == ["9", "10", "11"])
        let ofListener = configuration.listeners[0].routes
        #expect(ofListener.map(\.way) == [.parent("near")] && ofListener[0].users == [Array("alice".utf8)])
        #expect(ofListener[0].clients?.count == 1)
        let ofUser = try #require(configuration.routesPerUser[Array("alice".utf8)])
        #expect(ofUser.map(\.way) == [.parent("all")] && ofUser[0].domains?.count == 1)
    }

    @Test func shownRoutesAreReadBackAsTheSame() async throws {
        var shown = ""
        try await withFile(Array(Self.parents.utf8)) { file in
            shown = try await Invocation("config", "show", "--config", file).run().output
        }
        let rows = shown.split(separator: "\n").filter { line in
            ["parents:", "routes:"].contains { line.hasPrefix($0) }
        }
        #expect(rows.count == 2 && !shown.contains("p: w"), "\(rows)")
        let text = rows.joined(separator: "\n").replacing("(hidden)", with: "p: w")
        let again = try await Self.loaded(text).configuration
        let first = try await Self.loaded(Self.parents).configuration
        #expect(again.parents.map(\.credentials) == first.parents.map(\.credentials))
        #expect(again.parents.map(\.place) == first.parents.map(\.place))
        #expect(again.parentGroups.map(\.members) == first.parentGroups.map(\.members))
        #expect(again.parentGroups.map(\.check) == first.parentGroups.map(\.check))
        #expect(again.routes.map(\.criteria.ports) == first.routes.map(\.criteria.ports))
        #expect(again.routes.map(\.egress) == first.routes.map(\.egress))
    }

    @Test(
        arguments: [
            "any-of: [a*0]", "any-of: [a*1001]", "any-of: [a*]", "any-of: ['*2']", "any-of: [a*2*2]",
            "any-of: [a*+2]", "any-of: [a*02]", "any-of: [direct*2]", "any-of: [a], check: {every: 10s}",
            "any-of: [a], check: {every: 999ms, to: h:1}", "any-of: [a], check: {every: 25h, to: h:1}",
            "any-of: [a], check: {to: h}", "any-of: [a], check: {to: h:0}",
            "any-of: [a], check: {to: unix:/s}",
            "any-of: [a], check: {to: 'h:65536'}", "any-of: [a], check: h:1",
        ]
    )
    func groupsThatMakeNoSenseAreRefused(_ group: String) async throws {
        await #expect(throws: (any Error).self) {
            try await Self.loaded("parents: {a: {socks5: h:1}, g: {\(group)}}")
        }
    }

    // MARK: - Passwords

    @Test(arguments: ["secret", "secret\n", "secret\r\n"])
    func aPasswordFileIsFoundNextToTheConfigurationFile(
        _ text: String
    ) throws {
        try withFolder { folder in
            try writeFile("\(folder)/password", Array(text.utf8))
            chmod("\(folder)/password", 0o600)
            let parent = "{http: 127.0.0.1:1, user: a, password-file: password}"
            try writeFile("\(folder)/file", Array("parents: {a: \(parent)}\nroutes: [{via: a}]".utf8))
            let loaded = try Loaded(Options.parse(["--config", "\(folder)/file"]), .ofProcess())
            let credentials = Credentials(username: "a", password: "secret")
            #expect(loaded.configuration.parents.map(\.credentials) == [credentials])
            // The process may cause other warnings.
            #expect(loaded.warnings.filter { $0.contains(folder) } == [])
            #expect(loaded.files.contains("\(folder)/password"))
        }
    }

    @Test func checkAndStartTellOfWaysOut() async throws {
        let text = """
            listen: [127.0.0.1:0]
            parents: {a: {socks5: h:1}, b: {http: h:1}, c: {any-of: [a, b]}}
            routes: [{domains: [.onion], via: a}, {via: c}]
            users: [{name: alice, password: secret, routes: [{via: direct}]}]
            """
        try await withFile(Array(text.utf8)) { file in
            let checked = try Invocation("check", file).start().waitForEnd()
            #expect(
                checked.output == "fine: 1 listener(s), 1 user(s), 0 rule(s), 2 parent(s), 3 route(s)\n",
                "\(checked.errors)"
            )
            let child = try Invocation("--config", file).start()
            defer { child.finish() }
            _ = try child.waitForLine(containing: "ways out: 2 parent(s), 3 route(s)")
        }
    }

    @Test func aPasswordFileThatOthersMayReadIsReported() throws {
        try withFolder { folder in
            try writeFile("\(folder)/password", Array("secret".utf8))
            chmod("\(folder)/password", 0o644)
            let parent = "{http: 127.0.0.1:1, user: a, password-file: password}"
            try writeFile("\(folder)/file", Array("parents: {a: \(parent)}\nroutes: [{via: a}]".utf8))
            let loaded = try Loaded(Options.parse(["--config", "\(folder)/file"]), .ofProcess())
            let place = "\(folder)/file:1:58"
            let told = "other users may read the password file \(folder)/password; chmod o-r keeps them out"
            #expect(loaded.warnings.filter { $0.contains(folder) } == ["\(place): \(told)"])
        }
    }

    @Test(
        arguments: [
            (nil, "password: No such file or directory; check the path"),
            ("", "password has no password; expected 1 to 255 bytes on one line"),
            ("\n", "password has no password; expected 1 to 255 bytes on one line"),
            ("one\ntwo\n", "password has more than one line; expected 1 to 255 bytes on one line"),
            (
                String(repeating: "x", count: 256),
                "password has a password of 256 bytes; expected 1 to 255 bytes on one line"
            ),
        ] as [(String?, String)]
    )
    func aPasswordFileWithoutAPasswordIsRefused(_ text: String?, _ told: String) throws {
        try withFolder { folder in
            if let text { try writeFile("\(folder)/password", Array(text.utf8)) }
            let parent = "{socks5: 127.0.0.1:1, user: a, password-file: password}"
            try writeFile("\(folder)/file", Array("parents: {a: \(parent)}".utf8))
            let result = try Invocation("check", "\(folder)/file").start().waitForEnd()
            #expect(result.exitCode == 78)
            let place = "\(folder)/file:1:60"
            #expect(result.errors == "socks5d: \(place): password file \(folder)/\(told)\n")
        }
    }

    @Test func nothingSecretIsShown() async throws {
        let text = """
            parents:
              a: {socks5: hunter2@127.0.0.1:1, user: a, password: hunter2}
              b: {socks5: 127.0.0.1:1, password: hunter2}
              c: {socks5: 127.0.0.1:1, user: a, password: [hunter2]}
              d: {http: "http://a:hunter2@h:1", user: a, password: \(String(repeating: "hunter2", count: 40))}
            """
        try await withFile(Array(text.utf8)) { file in
            for invocation in [Invocation("check", file), Invocation("config", "show", "--config", file)] {
                let result = try await invocation.run()
                #expect(result.exitCode == 78 && !result.errors.contains("hunter2"), "\(result.errors)")
            }
        }
    }

    // MARK: - Hosts of the resolver

    @Test func hostsHaveOneAddressOrSeveral() async throws {
        let text = "resolver: {hosts: {B.example.: 10.0.0.5, a.example: [192.0.2.1, \"::ffff:192.0.2.2\"]}}"
        let loaded = try await Self.loaded(text)
        let hosts = loaded.configuration.resolver.hosts
        let (a, b) = (try #require(HostName("a.example")), try #require(HostName("b.example")))
        let found = hosts.mapValues { $0.map(\.description) }
        #expect(found == [a: ["192.0.2.1", "192.0.2.2"], b: ["10.0.0.5"]])
        let row = loaded.rows(startedWith: loaded).first { $0.path == "resolver.hosts" }
        #expect(
            row?.value == "{\"a.example\": [\"192.0.2.1\", \"192.0.2.2\"], \"b.example\": [\"10.0.0.5\"]}"
        )
    }

    // MARK: - What is refused

    @Test(arguments: [
        (
            "parents: [{socks5: h:1}]",
            "1:10: 'parents' is a list; expected a section of names, as NAME: {socks5: HOST:PORT}"
        ),
        (
            "parents: {a: {}}",
            "1:14: a key is missing in 'a'; expected exactly one of socks5, socks4, http, socks5+tls, https, any-of"
        ),
        (
            "parents: {a: {socks5: h:1, http: h:1}}",
            "1:28: 'socks5' and 'http' together; expected exactly one of socks5, socks4, http, socks5+tls, https, any-of"
        ),
        ("parents: {a: h:1}", "1:14: 'a' is one value; expected a section, as {socks5: HOST:PORT}"),
        ("parents: {a: {socks5: h:1, usr: x}}", "1:28: unknown key 'usr' in 'a'"),
        (
            "parents: {a b: {socks5: h:1}}",
            "1:11: a name in 'parents' is 'a b'; expected a name of 1 to 63 letters"
        ),
        ("parents: {direct: {socks5: h:1}}", "1:11: a name in 'parents' is 'direct'; expected a name"),
        (
            "parents: {a: {socks5: h:1, user: '', password: x}}",
            "1:34: 'user' is ''; expected a name of 1 to 255 bytes"
        ),
        ("parents: {a: {socks5: h}}", "1:23: 'socks5': 'h' is no place of a proxy; expected HOST:PORT"),
        ("parents: {a: {socks5: h:0}}", "1:23: 'socks5': 'h:0' is no place of a proxy; expected HOST:PORT"),
        ("parents: {a: {socks5: 'h h:1'}}", "1:23: 'socks5': 'h h' is neither a name nor an address"),
        (
            "parents: {a: {http: 'http://h:1'}}",
            "1:21: 'http': 'http://h:1' is a URL; expected HOST:PORT alone"
        ),
        ("parents: {a: {socks5: unix:run}}", "1:23: 'socks5': 'run' is no path of a unix socket"),
        (
            "parents: {a: {any-of: []}}",
            "1:23: 'any-of' is an empty list; expected at least one, or no any-of"
        ),
        (
            "resolver: {hosts: [a]}",
            "1:19: 'hosts' is a list; expected a section of names, as {db.example: 10.0.0.5}"
        ),
        ("resolver: {hosts: {a b: 10.0.0.1}}", "1:20: a name in 'hosts' is 'a b'; expected a host's name"),
        (
            "resolver: {hosts: {1.2.3.4: 10.0.0.1}}",
            "1:20: a name in 'hosts' is '1.2.3.4'; expected a host's name"
        ),
        ("resolver: {hosts: {a: here}}", "1:23: 'a' is 'here'; expected an address where a host can be"),
        ("resolver: {hosts: {a: [10.0.0.1, 0.0.0.0]}}", "1:34: 'a' is '0.0.0.0'; expected an address where"),
        ("resolver: {hosts: {a: []}}", "1:23: 'a' is an empty list; expected at least one"),
        ("resolver: {hosts: {a: 10.0.0.1, A.: 10.0.0.2}}", "1:33: 'A.' is given twice; expected once"),
        ("routes: [{}]", "1:10: no 'via' in 'routes'; expected it"),
        ("routes: [{via: a b}]", "1:16: 'via' is 'a b'; expected direct or the name of a parent"),
        ("routes: [{via: direct, ports: []}]", "1:31: 'ports' is an empty list; expected at least one"),
        ("routes: [{via: direct, commands: [bind]}]", "1:24: unknown key 'commands' in 'routes'"),
        ("routes: [{via: direct, names: both}]", "1:31: 'names' is 'both'; expected remote or local"),
        ("routes: [{via: direct, udp: parent}]", "1:29: 'udp' is 'parent'; expected direct"),
        ("users: [{name: a, password: x, routes: [{users: [a], via: direct}]}]", "1:42: unknown key 'users'"),
    ])
    func mistakesAreReportedWithTheirPlace(_ text: String, _ told: String) async throws {
        try await Self.expectProblem(text, told)
    }

    @Test(arguments: [
        ("routes: [{via: tor}]", "1:16: no parent is called 'tor'"),
        (
            "parents: {tor: {socks5: h:1}}\nroutes: [{via: tro}]",
            "2:16: no parent is called 'tro'; did you mean 'tor'?"
        ),
        ("users: [{name: a, password: x, routes: [{via: b}]}]", "1:47: no parent is called 'b'"),
        ("listeners: [{address: 127.0.0.1:1, routes: [{via: b}]}]", "1:51: no parent is called 'b'"),
        ("parents: {a: {socks5: h:1, through: b}}", "1:37: no parent is called 'b'"),
        (
            "parents: {a: {socks5: h:1, through: a}}",
            "1:37: 'through' leads back: a through a; expected a chain that ends"
        ),
        (
            "parents:\n  x: {socks5: h:1, through: a}\n  a: {socks5: h:1, through: b}\n  b: {http: h:1, through: a}",
            "3:29: 'through' leads back: a through b through a; expected a chain that ends"
        ),
        (
            "parents: {g: {any-of: [a]}, a: {socks5: h:1, through: g}}",
            "1:55: 'g' is a group; expected a parent"
        ),
        ("parents: {g: {any-of: [g]}}", "1:24: 'g' is a group; expected a parent"),
        ("parents: {a: {socks5: h:1}, g: {any-of: [a, b]}}", "1:45: no parent is called 'b'"),
        ("parents: {a: {socks5: h:1}, g: {any-of: [a, a]}}", "1:45: 'a' is given twice; expected once"),
        (
            "parents: {a: {socks5: h:1}, g: {any-of: [a], through: a}}",
            "1:55: 'through' beside 'any-of'; expected it at the members"
        ),
        (
            "parents: {a: {socks5: h:1, choose: random}}",
            "1:36: 'choose' without 'any-of'; expected it at a group"
        ),
        (
            "listen: ['[::]:1080']\nparents: {a: {socks5: 127.0.0.1:1080}}",
            "2:23: parent 'a' is this server itself; expected another place"
        ),
        (
            "listen: [unix:/run/a.sock]\nparents: {a: {http: unix:/run/a.sock}}",
            "2:21: parent 'a' is this server itself; expected another place"
        ),
        (
            "parents: {a: {socks5: h:1, check: {to: h:1}}}",
            "1:35: 'check' without 'any-of'; expected it at a group"
        ),
        ("parents: {a: {socks5: h:1}, g: {any-of: [a*2, a*3]}}", "1:47: 'a' is given twice; expected once"),
        ("parents: {a: {socks5: h:1, user: a}}", "1:34: 'user' without a password; expected one (RFC 1929)"),
        (
            "parents: {a: {socks5: h:1, user: a, password: ''}}",
            "1:34: 'user' with an empty password; expected 1 to 255 bytes (RFC 1929)"
        ),
        ("parents: {a: {http: h:1, user: a}}", "1:32: 'user' without a password; expected one (RFC 7617)"),
        (
            "parents: {a: {http: h:1, user: 'a:b', password: x}}",
            "1:32: 'user' has a colon, which HTTP can't send (RFC 7617)"
        ),
        ("parents: {a: {http: h:1, password: x}}", "1:36: 'password' without 'user'; expected both"),
        (
            "parents: {a: {socks4: h:1, user: a, password: x}}",
            "1:47: 'password' of a SOCKS4 proxy, which takes a user alone"
        ),
        (
            "parents: {a: {socks5: h:1, user: a, password: x, password-file: /dev/null}}",
            "1:47: 'password' beside 'password-file'; expected one of both"
        ),
        (
            "parents: {a: {http: h:1, pipelined: true}}",
            "1:37: 'pipelined' of a proxy that isn't SOCKS5; expected it at 'socks5'"
        ),
        (
            "parents: {a: {socks5: h:1}, b: {http: unix:/run/b, through: a}}",
            "1:61: 'through' beside a unix socket, which no other parent reaches"
        ),
    ])
    func contradictorySettingsAreReportedWithTheirPlace(_ text: String, _ told: String) async throws {
        try await Self.expectProblem(text, told)
    }

    @Test func aChainHasAnEnd() async throws {
        func chain(_ count: Int) -> String {
            let parents = (1...count).map { number in
                let through = number < count ? ", through: p\(number + 1)" : ""
                return "p\(number): {socks5: h:1\(through)}"
            }
            return "parents: {\(parents.joined(separator: ", "))}\nroutes: [{via: p1}]"
        }
        #expect(try await Self.loaded(chain(8)).configuration.parents.count == 8)
        try await Self.expectProblem(chain(9), "1:38: a chain of 9 parents; expected at most 8")
    }

    private static func expectProblem(_ text: String, _ told: String) async throws {
        try await withFile(Array(text.utf8)) { file in
            let failure = #expect(throws: Failure.self) {
                try Loaded(Options.parse(["--config", file]), .ofProcess())
            }
            #expect(failure?.exitCode == 78 && failure?.messages.count == 1)
            let message = failure?.messages.first ?? ""
            #expect(message.hasPrefix("\(file):\(told)"), "\(message)")
        }
    }
}
