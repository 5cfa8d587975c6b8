import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

@testable import socks5d

/// The settings of the program: one table behind the file, the flags, the variables and what is written of them.
@Suite struct ConfigurationTests {
    private static var leaves: [(path: String, flag: String?)] {
        Effective.leaves(Settings.table.settings).map { ($0.0, $0.1.flag?.name) }
    }

    // MARK: - What is written of the settings

    @Test func theParserKnowsTheFlagsOfTheTableAndNoOthers() throws {
        let flags = Set(Self.leaves.compactMap(\.flag))
        let parsed = Set(try Options.parse([]).values.keys)
        #expect(flags == parsed)
        #expect(Set(Setting.all.map(\.name)) == flags.union(["config"]).subtracting(Setting.ofTLS))
        #expect(flags.isSuperset(of: Setting.ofTLS))
    }

    @Test func thePageOfSettingsHasTheTablesOfTheProgram() throws {
        let page = try readFile("\(projectFolder)/docs/configuration.md")
        let tables = try #require(page.split(separator: "<!-- settings -->\n").dropFirst().first)
        let written = tables.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(Settings.rows.count == Self.leaves.count)
        #expect(written.map(String.init) == Settings.reference, "'make schema' writes it again")
    }

    @Test func theEntriesOfEachListHaveATable() {
        let tables = Settings.reference
        for list in ["listeners", "users", "rules", "parents", "routes"] {
            #expect(tables.contains("### Entries of `\(list)`"))
        }
        for row in ["| `limits.bandwidth` | ", "| `login.except` | ", "| `allow.ports` | ", "| `deny` | "] {
            #expect(tables.contains { $0.hasPrefix(row) }, "\(row)")
        }
        #expect(!tables.contains { $0.hasPrefix("| `deny.ports` | ") })
    }

    @Test func aRowOfASettingHasPathFlagDefaultAndHelp() {
        let rows = Settings.rows
        #expect(
            rows.contains(
                "| `listen` | `--listen` | `127.0.0.1:1080` | Addresses to listen on: ADDRESS:PORT, unix:PATH, or systemd:NAME for a socket of systemd. |"
            )
        )
        #expect(rows.contains { $0.hasPrefix("| `bind.enabled` | `--no-bind` | `true` | If false, ") })
        #expect(rows.contains { $0.hasPrefix("| `rules` | | | ") })
        #expect(rows.contains { $0.hasPrefix("| `udp.targets` | | `1024` | ") })
    }

    /// Each line says by itself what the setting is, and ends as a sentence.
    @Test func everySettingHasOneLineOfHelp() {
        func check(_ description: Description, _ path: String) {
            for entry in description.entries {
                let place = path + entry.key
                #expect(entry.doc.first?.isUppercase == true || entry.doc.first?.isNumber == true, "\(place)")
                #expect(entry.doc.hasSuffix(".") && entry.doc.count <= 110, "\(place): \(entry.doc)")
                switch entry.shape {
                case .section(let inner), .sections(let inner): check(inner, place + ".")
                case .valueOrSection(_, let inner), .named(_, let inner): check(inner, place + ".")
                case .value, .list, .oneOrMore, .namedValues: break
                }
            }
        }
        check(Description(Settings.table, defaults: Settings()), "")
    }

    @Test func theShippedSchemaEqualsThePrintedOne() async throws {
        let printed = try await Invocation("config", "schema").run()
        let shipped = try readFile("\(projectFolder)/examples/socks5d.schema.json")
        #expect(printed.exitCode == 0 && printed.output == shipped, "'make schema' writes it again")
    }

    @Test(arguments: ["minimal", "full"]) func theExamplesAreFine(_ name: String) async throws {
        let result = try await Invocation("check", "\(projectFolder)/examples/\(name).yaml").run()
        #expect(result.exitCode == 0 && result.errors.isEmpty, "\(result.errors)")
        #expect(result.output.hasPrefix("fine: "))
    }

    /// Except the short form of the listeners, which can't be used together with the long one.
    @Test func theFullExampleHasEverySetting() async throws {
        let file = "\(projectFolder)/examples/full.yaml"
        let lines = try await Invocation("config", "show", "--config", file).run().output.split(
            separator: "\n"
        )
        #expect(lines.count == Self.leaves.count)
        let shortForm = ["listen: ", "clients: ", "login-except: ", "protocols: ", "proxy-protocol: ", "tls"]
        for line in lines {
            let isOfShortForm = shortForm.contains { line.hasPrefix($0) }
            #expect(line.contains("  # \(file):") != isOfShortForm, "\(line)")
        }
        let comments = try readFile(file).split(separator: "\n").filter { $0.hasPrefix("# ") }
        for key in shortForm { #expect(comments.contains { $0.hasPrefix("# \(key)") }, "\(key)") }
    }

    /// A section that occurs several times has each of its keys at least once. TLS and GSSAPI are comments, since they
    /// need private keys.
    @Test func theFullExampleHasEveryKeyOfAListener() throws {
        let text = try readFile("\(projectFolder)/examples/full.yaml")
        for setting in ListenerEntry.table.settings {
            let key = ["tls", "gssapi"].contains(setting.key) ? "# \(setting.key)" : setting.key
            let isThere = text.contains("\n    \(key):") || text.contains("\n  - \(key):")
            #expect(isThere, "\(setting.key)")
        }
    }

    // MARK: - What a file does

    @Test func aFileIsServed() async throws {
        let text = """
            listen: [127.0.0.1:0]
            users:
              - {name: alice, password: one}
              - {name: "b:b", password-hash: "\(try hash("two"))"}
            rules:
              - deny: {users: ["b:b"], ports: [1-65535]}
            bind: {enabled: false}
            workers: 1
            """
        try await withFile(Array(text.utf8)) { file in
            try await withSocks5d(Invocation("--config", file)) { child, port in
                let banner = try child.waitForLine("socks5d ")
                #expect(banner.contains("1 worker(s)"))
                try expectLogin("alice", "one", at: port)
                try expectLogin("b:b", "two", at: port)
                try expectLogin("b:b", "one", isAccepted: false, at: port)
                for (name, password, reply) in [
                    ("alice", "one", Reply.connectionRefused), ("b:b", "two", .notAllowed),
                ] {
                    let socket = try TestSocket(connectingTo: port)
                    defer { socket.close() }
                    guard try socket.logIn(name, password) else { throw TestFailure("no login of \(name)") }
                    try socket.send(SOCKSRequest(command: .connect, destination: .loopback(1)))
                    let response = try socket.receive(SOCKSResponse.self)
                    #expect(response.reply == reply)
                }
            }
        }
    }

    @Test func aUserHasTermsOfTheirOwn() async throws {
        let text = """
            users:
              - {name: gone, password: x, expires: 2020-02-29}
              - {name: here, password: x, expires: 2900-01-01, clients: [127.0.0.0/8]}
              - {name: elsewhere, password: x, clients: [192.0.2.0/24]}
              - {name: bound, password: x, rules: [{allow: {ports: [1]}}, {deny: {}}], limits: {connections: 5}}
            rules: [{deny: {ports: [1]}}]
            """
        try await withFile(Array(text.utf8)) { file in
            try await withSocks5d(Invocation("--config", file)) { _, port in
                try expectLogin("gone", "x", isAccepted: false, at: port)
                try expectLogin("elsewhere", "x", isAccepted: false, at: port)
                for (name, target, reply) in [
                    ("here", 1, Reply.notAllowed), ("here", 2, .connectionRefused),
                    ("bound", 1, .connectionRefused), ("bound", 2, .notAllowed),
                ] {
                    let socket = try TestSocket(connectingTo: port)
                    defer { socket.close() }
                    guard try socket.logIn(name, "x") else { throw TestFailure("no login of \(name)") }
                    try socket.send(SOCKSRequest(command: .connect, destination: .loopback(target)))
                    let response = try socket.receive(SOCKSResponse.self)
                    #expect(response.reply == reply, "\(name) to \(target)")
                }
            }
        }
    }

    /// Also of a file that can't be served.
    @Test func aHealthCheckGoesByTheListenersOfTheFile() async throws {
        let listener = try TestListener()
        let port = listener.port
        listener.close()
        try await withFile(Array("listen: [127.0.0.1:\(port)]\nworkers: none\n".utf8)) { file in
            try await expectRefusal(
                of: Invocation("healthcheck", "--config", file),
                exitCode: 1,
                saying: "healthcheck of 127.0.0.1:\(port): Connection refused"
            )
        }
    }

    @Test func theUserFileIsRelativeToTheFileThatNamesIt() async throws {
        try await withFile(Array("alice:{plain}secret".utf8)) { users in
            let name = users.split(separator: "/").last.map(String.init) ?? ""
            try await withFile(Array("listen: [127.0.0.1:0]\nuser-file: \(name)\n".utf8)) { file in
                try await withSocks5d(Invocation("--config", file)) { _, port in
                    try expectLogin("alice", "secret", at: port)
                }
            }
        }
    }

    @Test func flagsWinOverVariablesOverTheFile() async throws {
        let text = "workers: 2\nmax-connections: 2\nbuffer-memory: 2M\nopen: true\nudp: {enabled: false}\n"
        try await withFile(Array(text.utf8)) { file in
            let show = Invocation(
                ["config", "show", "--config", file, "--workers", "4"],
                environment: [
                    "SOCKS5D_WORKERS": "none", "SOCKS5D_MAX_CONNECTIONS": "3", "SOCKS5D_NO_UDP": "0",
                ]
            )
            let lines = Set(try await show.run().output.split(separator: "\n").map(String.init))
            let expected = [
                "workers: 4  # --workers", "max-connections: 3  # SOCKS5D_MAX_CONNECTIONS",
                "buffer-memory: \"2M\"  # \(file):3:1", "open: true  # \(file):4:1",
                "udp.enabled: true  # SOCKS5D_NO_UDP", "bind.enabled: true  # default",
            ]
            for line in expected { #expect(lines.contains(line), "\(line) in \(lines)") }
        }
    }

    @Test func noSecretIsShown() async throws {
        let text = "users: [{name: a, password: hunter2}, {name: b, password-hash: \"\(try hash("x"))\"}]"
        try await withFile(Array(text.utf8)) { file in
            let result = try await Invocation("config", "show", "--config", file).run()
            #expect(!result.output.contains("hunter2") && !result.output.contains("$"))
            #expect(result.output.contains(#"{"name": "a", "password": "(hidden)"}"#))
        }
        let result = try await Invocation("config", "show", "--user", "alice:hunter2").run()
        #expect(result.output.contains("alice") && !result.output.contains("hunter2"))
    }

    // MARK: - What is wrong with one

    @Test func everyProblemIsNamedInOnePassWithItsPlace() async throws {
        let text = """
            listen: [127.0.0.1:0, 1.2.3.4]
            user: []
            users:
              - {name: alice, password: ""}
              - {name: bob}
              - {password-hash: $1$hunter2$abc, expires: 2027-02-30, rules: [{deny: {users: [a]}}]}
            rules:
              - deny: {networks: [10.0.0.1/8], domains: [a..b], ports: [0], users: []}
              - allow: {}
                deny: {}
            guard: {mode: maybe, allow: [here]}
            workers: 0
            timeouts: {idle: 0, drain: soon}
            egress: {addresses: [127.0.0.1, 127.0.0.1]}
            udp: {filtering: adress, enabled: perhaps}
            limits: {bandwidth-per-connection: 5, user: {quota: {bytes: 1G}}}
            """
        try await withFile(Array(text.utf8)) { file in
            for arguments in [
                ["check", file], ["run", "--config", file], ["config", "show", "--config", file],
            ] {
                let result = try await Invocation(arguments).run()
                #expect(result.exitCode == 78 && result.output.isEmpty)
                let lines = result.errors.split(separator: "\n").map(String.init)
                let places = lines.map { $0.dropFirst("socks5d: \(file):".count).prefix { $0 != " " } }
                #expect(
                    places == [
                        "1:23:", "2:1:", "4:29:", "5:5:", "6:5:", "6:21:", "6:46:", "6:74:", "8:23:", "8:46:",
                        "8:61:", "8:72:",
                        "10:5:", "11:15:", "11:30:", "12:10:", "13:18:", "13:28:", "14:21:", "15:18:",
                        "15:35:", "16:36:", "16:53:",
                    ],
                    "\(result.errors)"
                )
                #expect(lines.allSatisfy { $0.contains("; expected ") || $0.contains("$1$") })
                #expect(lines.contains { $0.hasSuffix("did you mean 'users'?") })
                #expect(!result.errors.contains("hunter2"))
            }
        }
    }

    @Test func contradictionsBetweenSettingsAreReportedToo() async throws {
        let cases = [
            ("listen: []", ":1:9: 'listen' is an empty list; expected at least one address"),
            (
                "listen: [127.0.0.1:1080, 127.0.0.1:1080]",
                ":1:9: 'listen' has 127.0.0.1:1080 twice; expected it once"
            ),
            (
                "users: [{name: a, password: x, expires: 1970-01-01}]",
                ":1:41: 'expires' is '1970-01-01'; expected a day"
            ),
            ("limits: {quota-file: /etc/passwd}", "/etc/passwd:1: not a quota file"),
            ("\nlisten: [127.0.0.1:0, 0.0.0.0:0]", ":2:1: 0.0.0.0:0 can be reached by other machines"),
            (
                "users:\n  - {name: a, password: x}\n  - {name: a, password: y}",
                ":3:5: user 'a' is given twice; expected once"
            ),
            ("user-file: /nonexistent/users", ":1:1: user file /nonexistent/users: No such file"),
        ]
        for (text, message) in cases {
            try await withFile(Array(text.utf8)) { file in
                try await expectRefusal(of: Invocation("check", file), exitCode: 78, saying: message)
            }
        }
        try await expectRefusal(
            of: Invocation("check", "/nonexistent"),
            exitCode: 78,
            saying: "configuration file /nonexistent: No such file"
        )
        try await expectRefusal(
            of: Invocation("check", "/", "--config", "/"),
            exitCode: 64,
            saying: "expected one of them"
        )
        try await expectRefusal(
            of: Invocation("check", "/"),
            exitCode: 78,
            saying: "configuration file /: Is a dir"
        )
    }

    @Test func aCheckWithoutAFileSaysThatThereIsNone() async throws {
        let without = try await Invocation("check").run()
        #expect(without.output.contains("no file was given"), "\(without)")
        try await withFile(Array("workers: 1\n".utf8)) { file in
            let with = try await Invocation("check", file).run()
            #expect(with.output == "fine: 1 listener(s), 0 user(s), 0 rule(s)\n", "\(with)")
        }
    }

    @Test func everyDoubleUserIsNamed() async throws {
        let user = { (name: String) in "  - {name: \(name), password: x}\n" }
        let text = "users:\n" + ["a", "a", "b", "b"].map(user).joined()
        try await withFile(Array(text.utf8)) { file in
            let result = try await Invocation("check", file).run()
            let lines = result.errors.split(separator: "\n")
            #expect(lines.map { $0.contains("is given twice") } == [true, true], "\(result.errors)")
            #expect(lines.first?.contains(":3:5: user 'a'") == true)
            #expect(lines.last?.contains(":5:5: user 'b'") == true)
        }
    }

    private func hash(_ password: String) throws -> String {
        try PasswordHash(hashing: Array(password.utf8), method: .sha512, cost: 1000).text
    }
}
