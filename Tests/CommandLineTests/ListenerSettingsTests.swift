import SOCKS5Protocol
import TestSupport
import Testing

/// Listeners of the configuration file, and the short form by flags and variables.
@Suite struct ListenerSettingsTests {
    private static let users = "users: [{name: alice, password: secret}]\n"

    // MARK: - What they do

    @Test func aFileHasListenersWithSettingsOfTheirOwn() async throws {
        let text =
            Self.users + """
                rules: [{deny: {ports: [1]}}]
                listeners:
                  - {address: 127.0.0.1:0, login: required, name: public}
                  - address: [127.0.0.2:0, "[::1]:0"]
                    login: never
                    rules: [{allow: {ports: [1]}}]
                """
        try await withFile(Array(text.utf8)) { file in
            let child = try Invocation("--config", file).start()
            defer { child.finish() }
            let port = try child.waitForPort()
            try expectLogin("alice", "secret", at: port)
            for host in ["127.0.0.2", "::1"] {
                let line = try child.waitForLine(containing: host == "::1" ? "[::1]:" : "\(host):")
                let digits = line.split(separator: ":").last?.prefix { $0.isNumber } ?? ""
                let socket = try TestSocket(connectingTo: try #require(Int(digits)), host: host)
                defer { socket.close() }
                let response = try socket.request(.connect, .loopback(1))
                #expect(response.reply == .connectionRefused)
            }
        }
    }

    @Test(arguments: Origin.allCases) func onlyNamedClientsAreServed(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("clients", "192.0.2.0/24,127.0.0.7", by: origin)) { child, port in
            let stranger = try TestSocket(connectingTo: port)
            defer { stranger.close() }
            try stranger.waitForClose()
            _ = try child.waitForLine(containing: "connections refused: not a client of the listener")
            let client = try TestSocket(connectingTo: port, from: "127.0.0.7")
            defer { client.close() }
            try client.greet()
        }
    }

    @Test(arguments: Origin.allCases) func exceptedNetworksNeedNoLogin(_ origin: Origin) async throws {
        let invocation = Invocation("login-except", "127.0.0.7", by: origin)
        try await withSocks5d(invocation.adding(Invocation("--user", "alice:secret"))) { _, port in
            try expectLogin("alice", "secret", at: port)
            let client = try TestSocket(connectingTo: port, from: "127.0.0.7")
            defer { client.close() }
            try client.greet()
        }
    }

    @Test(arguments: Origin.allCases) func namedProtocolsAreSpoken(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("protocols", "socks5,socks4", by: origin)) { child, port in
            let target = try TestListener()
            defer { target.close() }
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(SOCKS4Request(command: .connect, destination: .loopback(target.port)))
            #expect(try client.receive(SOCKS4Response.self).code == .granted)
            let other = try TestSocket(connectingTo: port)
            defer { other.close() }
            try other.greet()
        }
    }

    /// A name without a login is all that SOCKS4 has.
    @Test func rulesAboutUsersMayStandAtAListenerOfSOCKS4() async throws {
        let text = """
            listeners:
              - address: 127.0.0.1:0
                protocols: [socks4]
                login: never
                rules: [{allow: {users: [alice]}}, {deny: {}}]
            """
        try await withFile(Array(text.utf8)) { file in
            let result = try await Invocation("check", file).run()
            #expect(result.exitCode == 0, "\(result.errors)")
        }
    }

    @Test(arguments: Origin.allCases) func headersAreTakenFromNamedBalancersOnly(_ origin: Origin)
        async throws
    {
        let invocation = Invocation("proxy-protocol", "127.0.0.7", by: origin).adding(Invocation("--open"))
        try await withSocks5d(invocation) { child, port in
            let stranger = try TestSocket(connectingTo: port)
            defer { stranger.close() }
            try stranger.waitForClose()
            let line = try child.waitForLine(containing: "connections refused: no good PROXY header")
            #expect(line.contains("reason=header_from_elsewhere"))
            let balancer = try TestSocket(connectingTo: port, from: "127.0.0.7")
            defer { balancer.close() }
            try balancer.send(Array("PROXY TCP4 192.0.2.1 192.0.2.2 4711 1080\r\n".utf8))
            try balancer.greet()
        }
    }

    /// If its address is a balancer's, it announces itself as the client; otherwise it only connects.
    @Test(arguments: ["127.0.0.1", "192.0.2.1"]) func aHealthcheckNeedsNoBalancer(_ network: String)
        async throws
    {
        try await withSocks5d(Invocation("--open", "--proxy-protocol", network)) { _, port in
            let check = Invocation(
                "healthcheck",
                "--listen",
                "127.0.0.1:\(port)",
                "--proxy-protocol",
                network
            )
            let child = try check.start()
            let result = try child.waitForEnd()
            #expect(result.exitCode == 0, "\(result.errors)")
        }
    }

    @Test func anHTTPClientGetsNoAnswerIfTheFileSaysSo() async throws {
        try await withFile(Array("listen: ['127.0.0.1:0']\nanswer-http: false\n".utf8)) { file in
            try await withSocks5d(Invocation("--config", file, "--listen", "127.0.0.1:0")) { _, port in
                let client = try TestSocket(connectingTo: port)
                defer { client.close() }
                try client.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
                #expect((try? client.receiveToEnd()) ?? [] == [])
            }
        }
    }

    @Test func namedClientsNeedNoOpen() async throws {
        try await withSocks5d(Invocation("--listen", "0.0.0.0:0", "--clients", "10.0.0.0/8")) { child, _ in
            let result = try child.stop()
            #expect(result.exitCode == 0)
        }
        try await expectRefusal(
            of: Invocation("--listen", "0.0.0.0:0", "--clients", "0.0.0.0/0"),
            exitCode: 78,
            saying: "0.0.0.0:0 can be reached by other machines, and there are no users"
        )
    }

    // MARK: - What is refused

    @Test(arguments: [
        ("listen: [127.0.0.1:1]\nlisteners: [{address: 127.0.0.1:2}]", ":1:1: 'listen' beside 'listeners'"),
        ("clients: [10.0.0.0/8]\nlisteners: [{address: 127.0.0.1:2}]", ":1:1: 'clients' beside 'listeners'"),
        ("listeners: []", ":1:1: 'listeners' is an empty list; expected at least one listener"),
        ("listeners: [{name: a}]", ":1:13: no 'address' in 'listeners'; expected it"),
        (
            "listeners: [{address: unix:/tmp/a.sock, mode: 888}]",
            ":1:47: 'mode' is '888'; expected a mode of 3 octal digits, as 0660"
        ),
        (
            "listeners: [{address: unix:/tmp/a.sock, mode: 10660}]",
            ":1:47: 'mode' is '10660'; expected a mode of 3 octal digits, as 0660"
        ),
        (
            "listeners: [{address: 127.0.0.1:1, retry: 0}]",
            ":1:43: 'retry' is '0'; expected a time from 1s to 24h, as 30s"
        ),
        (
            "listeners: [{address: 127.0.0.1:1, retry: 25h}]",
            ":1:43: 'retry' is '25h'; expected a time from 1s to 24h, as 30s"
        ),
        ("listeners: [{address: systemd:a b}]", ":1:23: 'address': 'systemd:a b' is not an inherited socket"),
        ("listeners: [{address: []}]", ":1:23: 'address' is an empty list; expected at least one"),
        ("listeners: [{address: here}]", ":1:23: 'address': 'here' is not an address to listen on"),
        ("listeners: [{address: 127.0.0.1:1, nme: a}]", ":1:36: unknown key 'nme' in 'listeners'"),
        (
            "listeners: [{address: 127.0.0.1:1}, {address: 127.0.0.1:1}]",
            ":1:47: 'address' is 127.0.0.1:1 of listener 1; expected another port"
        ),
        (
            "listeners: [{address: 127.0.0.1:1}, {address: [127.0.0.1:2, 0.0.0.0:1]}]",
            ":1:61: 'address' is 0.0.0.0:1, which overlaps 127.0.0.1:1 of listener 1; expected another port"
        ),
        (
            "listeners: [{address: 127.0.0.1:1, name: a b}]",
            ":1:42: 'name' is 'a b'; expected a name of 1 to 63"
        ),
        (
            "listeners: [{address: 127.0.0.1:1, name: a}, {address: 127.0.0.1:2, name: a}]",
            ":1:75: listener 'a' is given twice; expected another name"
        ),
        (
            "listeners: [{address: 127.0.0.1:1, login: nevr}]",
            ":1:43: 'login' is 'nevr'; expected required, never or {except: [NETWORK, ...]}; did you mean 'never'?"
        ),
        ("listeners: [{address: 127.0.0.1:1, login: {}}]", ":1:43: no 'except' in 'login'; expected it"),
        ("listeners: [{address: 127.0.0.1:1, login: {except: []}}]", ":1:52: 'except' is an empty list"),
        (
            "listeners: [{address: 127.0.0.1:1, login: [never]}]",
            ":1:43: 'login' is a list; expected required, never"
        ),
        (
            "listeners: [{address: 127.0.0.1:1, login: required}]",
            ":1:43: 'login' is required, and there are no users"
        ),
        ("listeners: [{address: 127.0.0.1:1, clients: []}]", ":1:45: 'clients' is an empty list"),
        ("listeners: [{address: 127.0.0.1:1, clients: 10.0.0.0/8}]", ":1:45: 'clients' is one value"),
        (
            "listeners: [{address: 127.0.0.1:1, proxy-protocol: []}]",
            ":1:52: 'proxy-protocol' is an empty list"
        ),
        (
            "listeners: [{address: 127.0.0.1:1}, {address: 0.0.0.0:2}]",
            ":1:37: 0.0.0.0:2 can be reached by other machines, and there are no users"
        ),
        (
            users + "listeners: [{address: 127.0.0.1:1}, {address: 0.0.0.0:2, login: never}]",
            ":2:37: 0.0.0.0:2 can be reached by other machines, and asks nobody to log in"
        ),
        (
            users + "listeners: [{address: 0.0.0.0:2, login: {except: [0.0.0.0/0]}}]",
            ":2:13: 0.0.0.0:2 can be reached by other machines, and asks not everybody to log in"
        ),
        (
            users + "listeners: [{address: 127.0.0.1:1, login: never, rules: [{allow: {users: [alice]}}]}]",
            ":2:74: rule 1 is about users, and nobody logs in at this listener (login: never)"
        ),
        (
            users + "rules: [{allow: {users: [alice]}}]\nlisteners: [{address: 127.0.0.1:1, login: never}]",
            ":2:25: rule 1 is about users, and nobody logs in at any listener (login: never)"
        ),
    ]) func aWrongListenerIsNamedWithItsPlace(_ text: String, _ message: String) async throws {
        try await withFile(Array(text.utf8)) { file in
            try await expectRefusal(of: Invocation("check", file), exitCode: 78, saying: message)
        }
    }

    @Test func flagsOfTheShortFormExcludeListeners() async throws {
        try await withFile(Array("listeners: [{address: 127.0.0.1:0}]".utf8)) { file in
            for (name, value) in [
                ("listen", "127.0.0.1:0"), ("clients", "10.0.0.0/8"), ("login-except", "10.0.0.1"),
                ("protocols", "socks4"),
                ("proxy-protocol", "10.0.0.1"),
            ] {
                try await expectRefusal(
                    of: Invocation("check", file, "--\(name)", value),
                    exitCode: 64,
                    saying: "--\(name) beside 'listeners' (\(file):1:1); expected one of both"
                )
            }
            try await expectRefusal(
                of: Invocation(["check", file], environment: ["SOCKS5D_CLIENTS": "10.0.0.0/8"]),
                exitCode: 78,
                saying: "SOCKS5D_CLIENTS beside 'listeners' (\(file):1:1); expected one of both"
            )
            // An image sets it for all.
            let image = Invocation(["check", file], environment: ["SOCKS5D_LISTEN": "0.0.0.0:1080"])
            let result = try await image.run()
            #expect(result.exitCode == 0)
            #expect(
                result.errors
                    == "socks5d: warning: SOCKS5D_LISTEN isn't used, since there are 'listeners' (\(file):1:1)\n"
            )
        }
    }

    @Test func loginExceptWithoutUsersIsWarnedOf() async throws {
        let result = try await Invocation("check", "/dev/null", "--login-except", "10.0.0.0/8").run()
        #expect(result.exitCode == 0)
        #expect(
            result.errors.contains(
                "--login-except: clients that need no login are named, and there are no users"
            )
        )
    }
}
