import Glibc
import TestSupport
import Testing

/// Settings that are valid but probably a mistake: `check` and the start warn about them, and about nothing
/// else.
@Suite struct ReviewTests {
    private static let hash = "$2y$05$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuabcdefghijk"

    /// The warnings of `check`, without the name of the file.
    private static func warnings(_ text: String) async throws -> [String] {
        var lines: [String] = []
        try await withFile(Array(text.utf8)) { file in
            let result = try await Invocation("check", file).run()
            #expect(result.exitCode == 0 && result.output.hasPrefix("fine: "), "\(text): \(result.errors)")
            lines = result.errors.split(separator: "\n").map { line in
                let start = "socks5d: warning: \(file):"
                return String(line.hasPrefix(start) ? line.dropFirst(start.count) : line[...])
            }
        }
        return lines
    }

    @Test(arguments: [
        (
            "listeners: [{address: 127.0.0.1:1, rules: [{deny: {}}, {allow: {ports: [1]}}]}]",
            "1:64: rule 2 of listener 1 never decides: rule 1 comes first and matches each of its requests"
        ),
        (
            "users: [{name: a, password: x}]\nlisteners: [{address: 127.0.0.1:1, clients: [10.0.0.0/8], "
                + "login: {except: [10.1.0.0/16, 192.0.2.0/24]}}]",
            "2:89: 192.0.2.0/24 needs no login, and has none of the 'clients' that are served"
        ),
        (
            "users: [{name: a, password: x}]\nlisteners: [{address: 127.0.0.1:1, login: never}]",
            "2:1: there are users, and no listener asks for a login (login: never)"
        ),
        (
            "users: [{name: a, password: x}]\nrules: [{deny: {users: [a]}}]\n"
                + "listeners: [{address: 127.0.0.1:1}, {address: 127.0.0.1:2, login: never}]",
            "2:24: rule 1 denies nothing at listener 2, where nobody logs in (login: never)"
        ),
        (
            "rules:\n  - deny: {ports: [1-99]}\n  - allow: {ports: [25], users: [a]}\nusers: [{name: a, password: x}]",
            "3:12: rule 2 never decides: rule 1 comes first and matches each of its requests"
        ),
        (
            "rules:\n  - allow: {}\n  - deny: {networks: [10.0.0.0/8]}",
            "3:11: rule 2 never decides: rule 1 comes first and matches each of its requests"
        ),
        (
            "users: [{name: a, password: x, rules: [{deny: {}}, {allow: {commands: [bind]}}]}]",
            "1:60: rule 2 of user 'a' never decides: rule 1 comes first and matches each of its requests"
        ),
        (
            "users: [{name: a, password: x}]\nrules: [{deny: {users: [a, b]}}]",
            "2:28: rule 1 is about user 'b', who doesn't exist"
        ),
        (
            "rules: [{deny: {users: [a]}}]",
            "1:25: rule 1 is about user 'a', who doesn't exist: without users, no login is required"
        ),
        (
            "users: [{name: a, password: \(hash)}]",
            "1:29: the password of user 'a' looks like a hash; a hash is given by 'password-hash'"
        ),
        (
            "users:\n  - name: \"a:b\"\n    password: x",
            "2:11: the name of user 'a:b' has a colon; most clients end the name there, and can't log in"
        ),
        (
            "guard: {mode: on}\nrules: [{allow: {networks: [10.0.0.0/8, \"::1\"]}}]",
            "2:17: rule 1 allows nothing: the destination guard keeps its networks closed, unless guard.allow "
                + "(--allow-destinations) names them"
        ),
        (
            "listen: [0.0.0.0:0]\nopen: true\nrules: [{allow: {networks: [192.168.1.0/24]}}]",
            "3:17: rule 1 allows nothing: the destination guard keeps its networks closed, unless guard.allow "
                + "(--allow-destinations) names them"
        ),
        (
            "rules:\n  - deny: {domains: [.a.example]}\n  - deny: {domains: [.b.example]}",
            "2:21: 'domains' denies names only: a client that sends the address of such a host instead gets through; "
                + "'networks' denies addresses"
        ),
        (
            "parents: {a: {socks5: h:1}}\nroutes:\n  - {domains: [.a], via: a}\n  - {domains: [b.a], via: direct}",
            "4:5: route 2 is never taken: route 1 comes first and matches each of its requests"
        ),
        (
            "listeners: [{address: 127.0.0.1:1, routes: [{via: direct}, {via: direct}]}]",
            "1:60: route 2 of listener 1 is never taken: route 1 comes first and matches each of its requests"
        ),
        (
            "users: [{name: a, password: x, routes: [{via: direct}, {via: direct, ports: [1]}]}]",
            "1:56: route 2 of user 'a' is never taken: route 1 comes first and matches each of its requests"
        ),
        (
            "users: [{name: a, password: x}]\nroutes: [{users: [a, b], via: direct}]",
            "2:22: route 1 is for user 'b', who doesn't exist"
        ),
        (
            "routes: [{users: [b], via: direct}]",
            "1:19: route 1 is for user 'b', who doesn't exist: without users, no login is required"
        ),
        (
            "parents: {a: {socks5: h:1}, b: {socks5: h:1}, c: {http: h:1, through: b}, d: {any-of: [c]}}\nroutes: [{via: d}]",
            "1:14: no route leads to parent 'a'"
        ),
        (
            "parents: {a: {socks5: h:1}, b: {socks5: h:1}}\nroutes: [{via: direct}]",
            "1:1: no route leads to any of the parents: everything leaves directly"
        ),
        (
            "parents: {a: {socks5: h:1}}\nroutes: [{networks: [10.0.0.0/8], via: direct}, {via: a}]",
            "2:21: route 1 sees addresses only: a name that has such an address goes on to the next route, unless "
                + "'names: local' looks it up first"
        ),
        (
            "parents: {a: {socks5: h:1}}\nroutes: [{networks: [10.0.0.0/8], via: a}]",
            "2:21: route 1 sees addresses only: a name that has such an address goes on to the next route, unless "
                + "'names: local' looks it up first"
        ),
        (
            "parents: {tor: {socks5: 127.0.0.1:9050}}\nroutes: [{domains: [.example.com], via: tor}]",
            "1:16: names below .onion don't go to 'tor', and the system's resolver is asked for them; "
                + "a route {domains: [.onion], via: tor} leads them there"
        ),
        (
            "limits: {quota-file: /nonexistent/quotas}",
            "1:22: the quota file /nonexistent/quotas can't be written: the folder /nonexistent/: No such file or "
                + "directory"
        ),
        (
            "log: {file: /nonexistent/log}",
            "1:7: /nonexistent/log can't be opened: No such file or directory"
        ),
        ("log: {file: /tmp}", "1:7: /tmp can't be opened: Is a directory"),
        (
            "log: {file: 'syslog:/nonexistent/log'}",
            "1:7: syslog:/nonexistent/log can't be opened: No such file or directory"
        ),
        (
            "access-log: {file: /proc/version/log}",
            "1:14: /proc/version/log can't be opened: Not a directory"
        ),
        (
            "egress: {addresses: [127.0.0.1, 127.0.0.2], choose: same-for-session-id}",
            "1:53: 'same-for-session-id' chooses at random: without 'session-ids: true' no user name has an id"
        ),
    ])
    func aMistakeIsReportedWithItsPlace(_ text: String, _ warning: String) async throws {
        let warnings = try await Self.warnings(text)
        #expect(warnings == [warning])
    }

    @Test(arguments: [
        "rules: [{deny: {ports: [25]}}, {allow: {ports: [1-99]}}, {deny: {}}]",
        "rules: [{allow: {clients: [10.0.0.0/8]}}, {allow: {clients: [10.0.0.0/7]}}]",
        "rules: [{deny: {networks: [\"::/0\"]}}, {deny: {networks: [10.0.0.0/8]}}]",
        "rules: [{deny: {domains: [\"*.a\"]}}, {deny: {domains: [a]}}, {deny: {}}]",
        "users: [{name: a, password: x, rules: [{deny: {}}]}]\nrules: [{deny: {users: [a]}}]",
        "users: [{name: a, password: \"$6$ab\"}, {name: b, password: \"a,b:\"}, {name: c, password: \"a,b:c\"}]",
        "rules: [{allow: {networks: [10.0.0.0/8]}}]",
        "guard: {mode: on, allow: [private]}\nrules: [{allow: {networks: [10.0.0.0/8]}}]",
        "guard: {mode: on}\nrules: [{allow: {networks: [10.0.0.0/8, 198.16.0.0/14]}}, {allow: {domains: [a.b]}}]",
        "guard: {mode: on}\nrules: [{deny: {networks: [10.0.0.0/8]}}]",
        "rules: [{allow: {domains: [.a.example]}}, {deny: {}}]",
        "rules: [{deny: {domains: [.a.example]}}, {allow: {networks: [203.0.113.0/24]}}, {deny: {}}]",
        "limits: {quota-file: /tmp/socks5d-quotas-that-are-not-written}",
        "limits: {quota-file: quotas}",
        "parents: {a: {socks5: h:1}}\nroutes: [{networks: [10.0.0.0/8], names: local, via: direct}, {via: a}]",
        "parents: {a: {socks5: h:1}}\nroutes: [{networks: [0.0.0.0/0], via: direct}, {via: a}]",
        "parents: {a: {socks5: h:1}}\nroutes: [{networks: [10.0.0.0/8], via: a}, {via: a}]",
        "parents: {a: {socks5: h:1}}\nroutes: [{domains: [.a], via: a}, {networks: [10.0.0.0/8], via: direct}]",
        "parents: {a: {socks5: h:1}}\nroutes: [{domains: [a.b], via: a}, {domains: [.b], via: direct}]",
        "parents: {tor: {socks5: 127.0.0.1:9050}}\nroutes: [{domains: [\"*.onion\"], via: tor}]",
        "parents: {tor: {socks5: 127.0.0.1:9050}}\nroutes: [{ports: [80], via: tor}]",
        "egress: {addresses: [127.0.0.1, 127.0.0.2], choose: same-for-session-id}\nsession-ids: true",
    ])
    func plausibleSettingsCauseNoWarning(_ text: String) async throws {
        let warnings = try await Self.warnings(text)
        #expect(warnings == [])
    }

    @Test func usersOfTheUserFileExist() async throws {
        let users = "\(projectFolder)/examples/users"
        let warnings = try await Self.warnings("user-file: \(users)\nrules: [{deny: {users: [carol]}}]")
        #expect(warnings == [])
    }

    @Test func aHashAfterPlainIsReportedWithItsLine() async throws {
        let text = "a:{plain}x\nb:{plain}\(Self.hash)\nc:{plain}$6$rounds=5000$abcdefgh$ijk\n"
        try await withFile(Array(text.utf8)) { users in
            let result = try await Invocation("check", "--user-file", users).run()
            let told = result.errors.split(separator: "\n").dropFirst()
            let complaint = "a password in plain text that looks like a hash; leave {plain} out if it is one"
            #expect(
                told == [
                    "socks5d: warning: \(users):2:3: \(complaint)",
                    "socks5d: warning: \(users):3:3: \(complaint)",
                ]
            )
            #expect(!result.errors.contains("$2y$") && !result.errors.contains("rounds"))
        }
    }

    @Test(arguments: [
        (Origin.variable, "alice:hunter2,bob:hunter3", "for several users use SOCKS5D_USER_FILE"),
        (.variable, "alice:hunter2 bob:hunter3", "for several users use SOCKS5D_USER_FILE"),
        (.variable, "alice:hunter2\nbob:hunter3", "for several users use SOCKS5D_USER_FILE"),
        (.flag, "alice:hunter2,bob:hunter3", "repeat --user for several users"),
    ])
    func severalUsersInOneAreReported(_ origin: Origin, _ value: String, _ wayOut: String) async throws {
        let result = try await Invocation("check").adding(Invocation("user", value, by: origin)).run()
        #expect(result.exitCode == 0)
        let name = origin.name(of: "user")
        #expect(
            result.errors
                == "socks5d: warning: \(name) is one user 'alice', whose password looks like further users; \(wayOut)\n"
        )
    }

    @Test(arguments: [
        (Origin.variable, "a hash belongs in SOCKS5D_USER_FILE"),
        (.flag, "a hash belongs in a user file"),
    ])
    func aHashGivenAsAPasswordIsReported(_ origin: Origin, _ wayOut: String) async throws {
        for hash in [
            Self.hash, "$y$j9T$72iXFHarj91CYG.5aHQ.t/$TpSb0", "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/",
        ] {
            let result = try await Invocation("check").adding(Invocation("user", "alice:\(hash)", by: origin))
                .run()
            let name = origin.name(of: "user")
            #expect(
                result.errors
                    == "socks5d: warning: \(name): the password of user 'alice' looks like a hash; \(wayOut)\n"
            )
        }
    }

    @Test(arguments: [
        ("alice:\"secret\"", "the quotes around the password of user 'alice' are part of it"),
        ("alice:'secret'", "the quotes around the password of user 'alice' are part of it"),
        ("alice:secret # the first", "the '#' behind a space in the password of user 'alice' is part of it"),
    ])
    func leftoversOfAFileOfVariablesAreReported(_ value: String, _ complaint: String) async throws {
        let variable = try await Invocation("check").adding(Invocation("user", value, by: .variable)).run()
        #expect(
            variable.errors
                == "socks5d: warning: SOCKS5D_USER: \(complaint), as Docker's --env-file takes it\n"
        )
        let flag = try await Invocation("check").adding(Invocation("user", value, by: .flag)).run()
        #expect(flag.errors.isEmpty)
    }

    @Test(arguments: [
        "alice:a,b", "alice:correct horse: battery", "alice:a,b:", "alice:,:x", "alice:a:b", "alice:\"x",
        "alice:a#b",
    ])
    func aPasswordMayHaveCommasColonsAndQuotes(_ value: String) async throws {
        for origin in Origin.allCases {
            let result = try await Invocation("check").adding(Invocation("user", value, by: origin)).run()
            #expect(result.exitCode == 0 && result.errors.isEmpty, "\(value): \(result.errors)")
        }
    }

    @Test func theStartAndAReloadWarnToo() async throws {
        try await withFile(Array("rules: [{allow: {}}, {deny: {}}]".utf8)) { file in
            try await withSocks5d(Invocation("--config", file)) { child, _ in
                let warning = " warning \(file):1:29: rule 2 never decides"
                _ = try child.waitForLine(containing: warning)
                child.signal(SIGHUP)
                _ = try child.waitForLine(containing: " notice reloaded ")
                let errors = try child.stop().errors
                #expect(errors.split(separator: "\n").count { $0.contains(warning) } == 2)
            }
        }
    }

    @Test func manyWarningsAreCut() async throws {
        let rules = Array(repeating: "{deny: {}}", count: 101).joined(separator: ", ")
        let warnings = try await Self.warnings("rules: [\(rules)]")
        #expect(warnings.count == 51)
        #expect(warnings.last == "socks5d: warning: ... and 50 more warnings")
    }
}
