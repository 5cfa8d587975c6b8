import TestSupport
import Testing

@testable import socks5d

/// Variables as Docker's `--env-file`, Kubernetes and slips of the keyboard make them.
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
    func quotesAndBlanksAreToldByTheirKind(_ value: String, _ what: String) {
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

    /// They may belong to a name or a password, and a user file or a flag has no such slips.
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

    @Test func eachUnknownVariableIsToldOnce() async throws {
        let unknown = [
            "SOCKS5D_USRE": "alice:hunter2", "SOCKS5D_PROXY": "hunter2", "SOCKS5D_": "x",
            "SOCKS5D_RULES": "x", "SOCKS5D_IDLE": "1", "SOCKS5D_TIMEOUTS_IDLE": "1",
            "SOCKS5D_LIMITS_USER_BANDWIDTH": "1M", "SOCKS5D_PORT": "1080",
        ]
        let result = try await Invocation(["check"], environment: unknown).run()
        #expect(result.exitCode == 0)
        #expect(
            result.errors.split(separator: "\n") == [
                "socks5d: SOCKS5D_ is no variable of socks5d",
                "socks5d: SOCKS5D_IDLE is no variable of socks5d",
                "socks5d: SOCKS5D_LIMITS_USER_BANDWIDTH is no variable of socks5d; 'limits.user.bandwidth' has its "
                    + "place in the configuration file",
                "socks5d: SOCKS5D_PORT is no variable of socks5d",
                "socks5d: SOCKS5D_PROXY is no variable of socks5d",
                "socks5d: SOCKS5D_RULES is no variable of socks5d; 'rules' has its place in the configuration file",
                "socks5d: SOCKS5D_TIMEOUTS_IDLE is no variable of socks5d; did you mean SOCKS5D_IDLE_TIMEOUT?",
                "socks5d: SOCKS5D_USRE is no variable of socks5d; did you mean SOCKS5D_USER?",
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
        #expect(Environment.warnings(variables, Self.names) == [])
        for slip in [
            "SOCKS5D_PORTS", "SOCKS5D_PORT_X_TCP", "SOCKS5D_SERVICE", "SOCKS5D_UDP_PORT", "SOCKS5D_1_TCP",
        ] {
            #expect(Environment.warnings([(slip, "1")], Self.names).count == 1, "\(slip)")
        }
    }
}
