import TestSupport
import Testing

@testable import socks5d

/// Variables as they are written by Docker's `--env-file`, by Kubernetes, and by typing errors.
@Suite struct EnvironmentTests {
    private static let names = Setting.all.map { Origin.variable.name(of: $0.name) }

    @Test(arguments: Setting.all.map(\.name)) func quotesAndBlanksAroundAnyValueAreRefused(_ name: String)
        async throws
    {
        let good = try #require(Setting.all.first { $0.name == name }?.good)
        for (value, complaint) in [
            (
                "\"\(good)\"",
                "has quotes around its value, as Docker's --env-file leaves them; expected the value without them"
            ),
            ("\(good)\r", "ends with a carriage return; expected the value without blanks around it"),
        ] {
            try await expectRefusal(
                of: Invocation(name, value, by: .variable),
                exitCode: 78,
                saying: "\(Origin.variable.name(of: name)) \(complaint)"
            )
        }
    }

    @Test(arguments: [
        ("'2'", " has quotes"), ("2\n", " ends with a line feed"), ("2\r\n", " ends with a line feed"),
        ("2 ", " ends with a space"), (" 2", " begins with a space"), ("\t2", " begins with a tab"),
    ])
    func quotesAndBlanksAreReportedByTheirKind(_ value: String, _ what: String) {
        let complaint = Environment.complaint(about: value, of: "SOCKS5D_WORKERS")
        #expect(complaint?.what.hasPrefix(what) == true)
    }

    @Test(arguments: [
        "\"alice:hunter2\"", "'alice:hunter2'", "alice:hunter2\r", " alice:hunter2", "\"hunter2\"",
    ])
    func aRefusedLoginIsNotShownAndTheWayOutIs(_ value: String) async throws {
        for command in [["run"], ["check"], ["probe", "127.0.0.1:80"]] {
            let result = try await Invocation(command, environment: ["SOCKS5D_USER": value]).run()
            #expect(result.exitCode == (command[0] == "probe" ? 64 : 78))
            #expect(result.errors.contains("(a name or password that has them: SOCKS5D_USER_FILE)\n"))
            #expect(!result.errors.contains("hunter2") && !result.output.contains("hunter2"))
        }
    }

    /// They may belong to a name or a password, and user files and flags don't contain such mistakes.
    @Test func quotesAndBlanksElsewhereAreTakenAsTheyAre() async throws {
        for (user, name, password) in [
            ("alice:se\"cret", "alice", "se\"cret"), ("\"alice:secret", "\"alice", "secret"),
            ("'alice:secret\"", "'alice", "secret\""), ("alice:se cret", "alice", "se cret"),
        ] {
            try await withSocks5d(Invocation("user", user, by: .variable)) { _, port in
                try expectLogin(name, password, at: port)
            }
        }
        try await withSocks5d(Invocation("user", "\"alice:secret\"", by: .flag)) { _, port in
            try expectLogin("\"alice", "secret\"", at: port)
        }
        try await withFile(Array("alice:{plain}\"secret\"\nbob:{plain} x ".utf8)) { file in
            try await withSocks5d(Invocation("user-file", file, by: .variable)) { _, port in
                try expectLogin("alice", "\"secret\"", at: port)
                try expectLogin("bob", " x ", at: port)
            }
        }
    }

    @Test func aFlagWinsOverAVariableWithQuotes() async throws {
        let quoted = Invocation("--workers", "1", environment: ["SOCKS5D_WORKERS": "\"2\""])
        try await withSocks5d(quoted) { child, _ in
            let banner = try child.waitForLine("socks5d ")
            #expect(banner.contains("1 worker(s)"))
        }
    }

    @Test(arguments: Origin.allCases) func anEmptyNameOfTheFileIsRefused(_ origin: Origin) async throws {
        for command in [["check"], ["run"], ["healthcheck"]] {
            try await expectRefusal(
                of: Invocation(command).adding(Invocation("config", "", by: origin)),
                exitCode: origin.exitCode,
                saying: "\(origin.name(of: "config")) is ''; expected a file's path"
            )
        }
    }

    @Test func eachUnknownVariableIsReportedOnce() async throws {
        let unknown = [
            "SOCKS5D_USRE": "alice:hunter2", "SOCKS5D_PROXY": "hunter2", "SOCKS5D_": "x",
            "SOCKS5D_RULES": "x", "SOCKS5D_IDLE": "1", "SOCKS5D_TIMEOUTS_IDLE": "1",
            "SOCKS5D_LIMITS_USER_BANDWIDTH": "1M", "SOCKS5D_PORT": "1080",
        ]
        let result = try await Invocation(["check"], environment: unknown).run()
        #expect(result.exitCode == 0)
        #expect(
            result.errors.split(separator: "\n") == [
                "socks5d: warning: SOCKS5D_ is no variable of socks5d",
                "socks5d: warning: SOCKS5D_IDLE is no variable of socks5d; did you mean SOCKS5D_IDLE_TIMEOUT?",
                "socks5d: warning: SOCKS5D_LIMITS_USER_BANDWIDTH is no variable of socks5d; 'limits.user.bandwidth' has its "
                    + "place in the configuration file",
                "socks5d: warning: SOCKS5D_PORT is no variable of socks5d; did you mean SOCKS5D_LISTEN?",
                "socks5d: warning: SOCKS5D_PROXY is no variable of socks5d; did you mean SOCKS5D_PARENT?",
                "socks5d: warning: SOCKS5D_RULES is no variable of socks5d; 'rules' has its place in the configuration file",
                "socks5d: warning: SOCKS5D_TIMEOUTS_IDLE is no variable of socks5d; did you mean SOCKS5D_IDLE_TIMEOUT?",
                "socks5d: warning: SOCKS5D_USRE is no variable of socks5d; did you mean SOCKS5D_USER?",
            ]
        )
    }

    /// For services named socks5d and socks5d-metrics, with a port named admin.
    @Test func variablesOfKubernetesAreNoSlips() {
        let variables = [
            ("SOCKS5D_SERVICE_HOST", "10.0.0.1"), ("SOCKS5D_SERVICE_PORT", "1080"),
            ("SOCKS5D_SERVICE_PORT_ADMIN", "9090"), ("SOCKS5D_PORT", "tcp://10.0.0.1:1080"),
            ("SOCKS5D_PORT_1080_TCP", "tcp://10.0.0.1:1080"), ("SOCKS5D_PORT_1080_TCP_PROTO", "tcp"),
            ("SOCKS5D_PORT_1080_TCP_PORT", "1080"), ("SOCKS5D_PORT_1080_TCP_ADDR", "10.0.0.1"),
            ("SOCKS5D_PORT_53_UDP", "udp://10.0.0.1:53"), ("SOCKS5D_PORT_53_UDP_ADDR", "10.0.0.1"),
            ("SOCKS5D_METRICS_SERVICE_HOST", "10.0.0.2"), ("SOCKS5D_METRICS_PORT", "tcp://10.0.0.2:9090"),
            ("SOCKS5D_METRICS_PORT_9090_TCP_PORT", "9090"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ]
        #expect(Environment.slips(variables, Self.names) == [])
        for slip in [
            "SOCKS5D_PORTS", "SOCKS5D_PORT_X_TCP", "SOCKS5D_SERVICE", "SOCKS5D_UDP_PORT", "SOCKS5D_1_TCP",
        ] {
            #expect(Environment.slips([(slip, "1")], Self.names).count == 1, "\(slip)")
        }
    }

    // MARK: - Variables of serjs/socks5-server

    @Test func theVariablesOfAnotherProgramStandForOurs() {
        let login = ["PROXY_USER": "alice", "PROXY_PASSWORD": "hunter2"]
        for (variables, own, values, note) in [
            (
                login, [:], ["SOCKS5D_USER": "alice:hunter2"],
                "PROXY_USER and PROXY_PASSWORD are taken for SOCKS5D_USER"
            ),
            (
                ["PROXY_PORT": "9090"], [:], ["SOCKS5D_LISTEN": "127.0.0.1:9090"],
                "PROXY_PORT is taken for SOCKS5D_LISTEN=127.0.0.1:9090"
            ),
            // As the image sets it.
            (
                ["PROXY_PORT": "9090"], ["SOCKS5D_LISTEN": "0.0.0.0:1080"],
                ["SOCKS5D_LISTEN": "0.0.0.0:9090"],
                "PROXY_PORT is taken for SOCKS5D_LISTEN=0.0.0.0:9090"
            ),
            (
                ["PROXY_PORT": "9090"], ["SOCKS5D_LISTEN": "0.0.0.0:1081"], [:],
                "PROXY_PORT isn't used, since SOCKS5D_LISTEN is set"
            ),
            (
                login, ["SOCKS5D_USER": "bob:x"], [:],
                "PROXY_USER and PROXY_PASSWORD aren't used, since SOCKS5D_USER is set"
            ),
            (
                login, ["SOCKS5D_USER_FILE": "users"], [:],
                "PROXY_USER and PROXY_PASSWORD aren't used, since SOCKS5D_USER_FILE is set"
            ),
            (["PROXY_USER": "alice"], [:], [:], "PROXY_USER isn't used without PROXY_PASSWORD"),
            (["PROXY_PASSWORD": "hunter2"], [:], [:], "PROXY_PASSWORD isn't used without PROXY_USER"),
            (
                ["PROXY_USER": "a:b", "PROXY_PASSWORD": "hunter2"], [:], [:],
                "PROXY_USER isn't used, since it has a colon; SOCKS5D_USER_FILE takes such a name"
            ),
            (["PROXY_PORT": "0"], [:], [:], "PROXY_PORT isn't used, since it is no port from 1 to 65535"),
            (["PROXY_PORT": "http"], [:], [:], "PROXY_PORT isn't used, since it is no port from 1 to 65535"),
        ] as [([String: String], [String: String], [String: String], String)] {
            let found = ProxyVariables(variables, beside: own)
            #expect(found.values == values && found.notes == [note])
        }
        let none = ProxyVariables([:], beside: ["SOCKS5D_LISTEN": "0.0.0.0:1080"])
        #expect(none.values.isEmpty && none.notes.isEmpty)
    }

    @Test func aContainerOfAnotherProgramIsServedWithItsLogin() async throws {
        let environment = [
            "PROXY_USER": "alice", "PROXY_PASSWORD": "hunter2", "SOCKS5D_LISTEN": "127.0.0.1:0",
        ]
        try await withSocks5d(Invocation(environment: environment)) { child, port in
            let note = try child.waitForLine(containing: "PROXY_USER")
            #expect(note.hasSuffix(" warning PROXY_USER and PROXY_PASSWORD are taken for SOCKS5D_USER"))
            try expectLogin("alice", "hunter2", at: port)
            try expectLogin("alice", "wrong", isAccepted: false, at: port)
        }
    }

    @Test func aFlagAndAFileWinOverTheVariablesOfAnotherProgram() async throws {
        let login = ["PROXY_USER": "alice", "PROXY_PASSWORD": "hunter2", "PROXY_PORT": "9090"]
        func shown(_ arguments: String...) async throws -> [Substring] {
            let result = try await Invocation(["config", "show"] + arguments, environment: login).run()
            #expect(result.exitCode == 0 && !result.output.contains("hunter2"))
            return result.output.split(separator: "\n")
        }
        #expect(try await shown().contains("listen: [\"127.0.0.1:9090\"]  # SOCKS5D_LISTEN"))
        #expect(
            try await shown("--listen", "127.0.0.1:1").contains("listen: [\"127.0.0.1:1\"]  # --listen")
        )
        try await withFile(Array("workers: 1\n".utf8)) { file in
            let rows = try await shown("--config", file)
            #expect(rows.contains("listen: [\"127.0.0.1:1080\"]  # default"))
            let check = try await Invocation(["check", file], environment: login).run()
            #expect(check.exitCode == 0 && check.errors.isEmpty)
        }
    }
}
