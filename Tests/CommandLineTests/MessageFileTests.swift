import TestSupport
import Testing

@testable import socks5d

/// Tests/Messages.txt has every text that the program may say to a person, so that a reader can judge them at once.
@Suite struct MessageFileTests {
    private static func messages(_ arguments: String...) throws -> ChildProcess.Result {
        try ChildProcess(["python3", "-B", "\(projectFolder)/scripts/messages"] + arguments).waitForEnd()
    }

    /// Lines that no source contains.
    private static func strange(_ lines: [String]) async throws -> ChildProcess.Result {
        try await onThread {
            try withFolder { folder in
                try writeFile("\(folder)/log", Array(lines.map { "\($0)\n" }.joined().utf8))
                return try messages("check", "\(folder)/log")
            }
        }
    }

    @Test func theFileHasTheTextsOfTheSources() async throws {
        let found = try await onThread { try Self.messages() }
        #expect(found.exitCode == 0, "\(found.errors)")
        let isSame = try found.output == readFile("\(projectFolder)/Tests/Messages.txt")
        #expect(
            isSame,
            "Tests/Messages.txt isn't what the sources say; run 'make messages', and judge what is new"
        )
    }

    /// A mistake of each kind that the settings can contain.
    private static let slips = [
        "listen: [1080]", "listen: [::1:1080]", "listen: 127.0.0.1:1080", "lisen: []", "workers: many",
        "workers: [1]",
        "open: perhaps", "\topen: true", "open: true\nopen: true", "users: [alice]", "users: [{name: a}]",
        "users: [{name: a, password: b}, {name: a, password: c}]", "user-file: /nowhere/users",
        "user-file: /tmp",
        "user-file: /dev/null", "rules: [{deny: {ports: [70000]}}]",
        "rules: [{deny: {networks: [10.0.0.1/8]}}]",
        "rules: [{deny: {domains: [a..b]}}]", "rules: [{dney: {}}]", "guard: {mode: maybe}",
        "timeouts: {idle: 5 minutes}",
        "tls: {minimum: '1.3'}", "tls: {certificate: /nowhere/c, key: /nowhere/k}", "gssapi: {keytab: k}",
        "listeners: []", "listeners: [{address: 'nowhere:1'}]",
        "listeners: [{address: '127.0.0.1:1', mode: 999}]",
        "listeners: [{address: '127.0.0.1:1', gssapi: {keytab: /nowhere/keytab}}]",
        "listen: ['0.0.0.0:1080']", "admin: {listen: '0.0.0.0:9080'}", "admin: {token-file: /dev/null}",
        "parents: {a: {socks5: h}}", "parents: {a: {http: 'h:1', user: 'b:c', password: d}}",
        "parents: {a: {socks5: 'h:1', through: a}}", "routes: [{via: nobody}]",
        "egress: {addresses: [localhost]}",
        "udp: {ports: 1-0}", "limits: {buffer-memory: 64Q}", "log: {level: loud}",
        "access-log: {file: 'syslog:'}",
    ]

    @Test func theAnswerToEachSlipIsOfTheFile() async throws {
        var lines: [String] = []
        for slip in Self.slips {
            try await withFile(Array(slip.utf8)) { file in
                let failure = #expect(throws: Failure.self, "\(slip)") {
                    try Check.parse([file]).check()
                }
                lines += failure?.messages ?? []
            }
        }
        // Each of these starts the program, which takes its time.
        for arguments in [["status", "--admin", "unix:/nowhere/s"], ["--config", "/nowhere"]] {
            let result = try await Invocation(arguments).run()
            #expect(result.exitCode != 0, "\(arguments)")
            lines += result.errors.split(separator: "\n").map { String($0.dropFirst("socks5d: ".count)) }
        }
        #expect(lines.count > Self.slips.count)
        let strange = try await Self.strange(lines.map { "socks5d: \($0)" })
        #expect(strange.exitCode == 0, "\(strange.errors)")
    }

    @Test func aTextOfNoSourceIsFound() async throws {
        let strange = try await Self.strange([
            "socks5d: --workers is 'no'; expected a whole number from 1 to 1024",
            "2026-01-01T00:00:00.000Z notice reloaded listeners=1 reason=\"unheard of\"",
            "socks5d: --workers is a walrus",
        ])
        #expect(strange.exitCode == 1)
        #expect(strange.errors == "messages: no source says walrus: --workers is a walrus\n")
    }
}
