import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// The process becomes the user of `--run-as`, in all of its threads and for good.
@Suite struct RunAsTests {
    /// IDs other than root's, which own no file and no process of the machine.
    private static let numbers = "64123:64124"

    @Test(.enabled(if: geteuid() == 0), .overOwnThreads) func everyThreadIsTheUserAndHasNoRightsOfRoot()
        async throws
    {
        try await withSocks5d(Invocation("--run-as", Self.numbers, "--admin", "127.0.0.1:0")) { child, port in
            try expectRelaying(through: port)
            #expect(try child.threadFacts().count > 3)
            for (name, value) in [
                ("Uid", "64123 64123 64123 64123"), ("Gid", "64124 64124 64124 64124"), ("Groups", "64124"),
                ("CapPrm", "0000000000000000"), ("CapEff", "0000000000000000"),
            ] {
                try child.expectAllThreads(toHave: value, as: name)
            }
        }
    }

    @Test(.overOwnThreads) func noThreadCanGainRightsByAProgram() async throws {
        try await withSocks5d { child, _ in
            try child.expectAllThreads(toHave: "1", as: "NoNewPrivs")
        }
    }

    @Test(.enabled(if: geteuid() == 0), .overOwnThreads) func aLowPortNeedsOnlyItsOwnCapability()
        async throws
    {
        let listen = "127.83.10.80:\(Int.random(in: 600..<1000))"
        try await withSocks5d(Invocation("--run-as", Self.numbers, "--listen", listen)) { child, _ in
            try child.expectAllThreads(toHave: "0000000000000400", as: "CapEff")
        }
    }

    /// A mark of one listener needs the same right as that of all.
    @Test(
        .enabled(if: geteuid() == 0),
        .overOwnThreads,
        arguments: [
            "egress: {mark: 7}\nlisten: ['127.0.0.1:0']",
            "listeners: [{address: '127.0.0.1:0', egress: {mark: 7}}]",
        ]
    )
    func markingConnectionsKeepsOnlyThatCapability(_ settings: String) async throws {
        try await withFile(Array("\(settings)\nrun-as: nobody\n".utf8)) { file in
            try await onThread {
                let child = try Invocation("--config", file).start()
                defer { child.finish() }
                _ = try child.waitForPort()
                try child.expectAllThreads(toHave: "0000000000001000", as: "CapEff")
            }
        }
    }

    @Test(.enabled(if: geteuid() == 0)) func theUsersOwnGroupsAreTaken() async throws {
        try await withSocks5d(Invocation("--run-as", "daemon")) { child, _ in
            for facts in try child.threadFacts() {
                #expect(facts["Uid"] == "1 1 1 1" && facts["Gid"] == "1 1 1 1" && facts["Groups"] == "1")
            }
        }
    }

    @Test(.enabled(if: geteuid() == 0)) func aFileThatOnlyRootCanReadIsReportedAtTheStart() async throws {
        try await withFile(Array("alice:{plain}one".utf8)) { users in
            let invocation = Invocation("--run-as", Self.numbers, "--user-file", users)
            try await withSocks5d(invocation) { child, port in
                let line = try child.waitForLine(containing: "can't be read any more, so a reload will fail")
                #expect(line.contains(users) && line.hasSuffix("Permission denied"))
                child.signal(SIGHUP)
                _ = try child.waitForLine(containing: " error not reloaded")
                try expectLogin("alice", "one", at: port)
                chmod(users, 0o644)
                child.signal(SIGHUP)
                _ = try child.waitForLine(containing: " notice reloaded ")
            }
        }
    }

    @Test(.enabled(if: geteuid() == 0)) func aLogThatTheUserCannotWriteIsRefused() async throws {
        let folder = try await onThread { try withFolder { $0 } }
        mkdir(folder, 0o755)
        defer { rmdir(folder) }
        let result = try await Invocation("--run-as", Self.numbers, "--log-file", folder + "/log").run()
        #expect(result.exitCode == 78)
        #expect(result.errors == "socks5d: --log-file: \(folder)/log can't be opened: Permission denied\n")
    }

    @Test(.enabled(if: geteuid() == 0)) func withoutTheRightToBecomeAnotherTheStartFails() async throws {
        let result = try await onThread {
            try Invocation("--listen", "127.0.0.1:0", "--run-as", Self.numbers)
                .start(by: ["setpriv", "--bounding-set", "-all"]).waitForEnd()
        }
        #expect(result.exitCode == 78)
        #expect(result.errors == "socks5d: --run-as: user 64123: setgroups: Operation not permitted\n")
    }

    @Test(
        arguments: [
            ("root", "--run-as: user 'root' is root; expected another user"),
            ("0:64124", "--run-as: user '0' is root; expected another user"),
            ("nobody-of-that-name", "--run-as: user 'nobody-of-that-name' doesn't exist"),
            ("daemon:no-such-group", "--run-as: group 'no-such-group' doesn't exist"),
            (
                "64123",
                "--run-as: user 64123 has no group, since it isn't in the system's list; expected USER:GROUP"
            ),
            ("4294967295:1", "--run-as: user '4294967295' doesn't exist"),
        ]
    ) func anImpossibleUserIsRefused(_ text: String, _ complaint: String) async throws {
        let result = try await Invocation("--run-as", text).run()
        #expect(result.exitCode == 78)
        #expect(result.errors == "socks5d: \(complaint)\n")
    }

    @Test(arguments: ["", ":", "a:b:c", "a b", ":1"]) func anythingElseIsNoUser(_ text: String) async throws {
        let result = try await Invocation("--run-as", text).run()
        #expect(result.exitCode == 64)
        #expect(result.errors.contains("expected USER or USER:GROUP, as socks5d or 65532:65532"))
    }
}

extension Trait where Self == ConditionTrait {
    /// ThreadSanitizer starts a thread before the program does anything, and that thread keeps all rights.
    static var overOwnThreads: Self { .enabled(if: !isQuick, "a sanitizer has threads of its own") }
}

extension ChildProcess {
    /// The thread that has read the settings may still be ending.
    func expectAllThreads(toHave value: String, as name: String) throws {
        try eventually("\(name) is \(value) in all threads") {
            try threadFacts().allSatisfy { $0[name] == value }
        }
    }

    /// The facts about each thread in its `status` (proc(5)): values by their names, with single spaces. For a thread
    /// that ends meanwhile, none or only some.
    func threadFacts() throws -> [[String: String]] {
        try namesIn("/proc/\(pid)/task").compactMap { try? readFile("/proc/\(pid)/task/\($0)/status") }.map {
            text in
            let pairs = text.split(separator: "\n").map { line in
                let words = line.split { $0 == "\t" || $0 == " " }
                return (String(words[0].dropLast()), words.dropFirst().joined(separator: " "))
            }
            return Dictionary(pairs) { first, _ in first }
        }.filter { $0["nonvoluntary_ctxt_switches"] != nil }
    }
}
