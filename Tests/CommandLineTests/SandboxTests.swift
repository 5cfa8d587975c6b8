import CTestSupport
import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

private let hasLandlock = test_landlock_version() > 0

/// A process in the sandbox uses only its own files and system calls, and still does all of its work.
@Suite struct SandboxTests {
    private static let on = Invocation("--sandbox", "on")

    // MARK: - What is refused

    private static let attempts: [(test_attempt, Int32)] = [
        (TEST_EXEC, EPERM), (TEST_FORK, EPERM), (TEST_CLONE3, ENOSYS), (TEST_TRACE, EPERM),
        (TEST_SIGNAL_SELF, 0), (TEST_SIGNAL_PARENT, EPERM), (TEST_TCP_SOCKET, 0), (TEST_UNIX_SOCKET, 0),
        (TEST_RAW_SOCKET, EPERM), (TEST_PACKET_SOCKET, EPERM), (TEST_BECOME_ROOT, EPERM),
        (TEST_MOUNT, EPERM),
        (TEST_TYPE_INTO_TERMINAL, EPERM), (TEST_IO_URING, ENOSYS), (TEST_READ, 0),
    ]

    @Test(arguments: attempts) func aCallThatTheServerDoesNotMakeIsRefused(
        _ attempt: test_attempt,
        _ expected: Int32
    ) {
        #expect(test_in_sandbox(TEST_CALLS, "/", attempt, "/usr/bin/true") == expected)
    }

    @Test func aCallThatIsOnlyLoggedIsCarriedOut() {
        #expect(test_in_sandbox(TEST_CALLS_LOGGED, "/", TEST_EXEC, "/usr/bin/true") == 0)
        #expect(test_in_sandbox(TEST_CALLS_LOGGED, "/", TEST_FORK, "") == 0)
    }

    @Test(.enabled(if: hasLandlock)) func filesOutsideCannotBeUsed() throws {
        try withFolder { folder in
            try writeFile(folder + "/inside", [1])
            #expect(test_in_sandbox(TEST_FILES, folder, TEST_READ, folder + "/inside") == 0)
            #expect(test_in_sandbox(TEST_FILES, folder, TEST_READ, "/etc/passwd") == EACCES)
            #expect(test_in_sandbox(TEST_FILES, folder, TEST_READ, folder + "/../") == EACCES)
            #expect(test_in_sandbox(TEST_FILES, folder, TEST_MAKE_FILE, folder + "/new") == EACCES)
            #expect(test_in_sandbox(TEST_FILES, "/usr", TEST_EXEC, "/usr/bin/true") == EACCES)
        }
    }

    @Test(.overOwnThreads) func everyThreadIsInTheSandbox() async throws {
        try await withSocks5d(Self.on.adding(Invocation("--admin", "127.0.0.1:0"))) { child, port in
            try expectRelaying(through: port)
            #expect(try child.threadFacts().count > 3)
            try child.expectAllThreads(toHave: "2", as: "Seccomp")
            try child.expectAllThreads(toHave: "1", as: "NoNewPrivs")
        }
    }

    @Test func withoutTheSettingNothingIsRestricted() async throws {
        try await withSocks5d { child, _ in
            for facts in try child.threadFacts() { #expect(facts["Seccomp"] == "0") }
        }
    }

    @Test func theBannerNamesTheRestrictions() async throws {
        let files = hasLandlock ? "files (Landlock \(test_landlock_version())), " : ""
        try await withSocks5d(Self.on) { child, _ in
            let line = try child.waitForLine("sandbox: ")
            #expect(line == "\(files)system calls")
        }
        try await withSocks5d(Invocation("--sandbox", "log")) { child, _ in
            let line = try child.waitForLine("sandbox: ")
            #expect(line == "system calls are logged, and nothing is refused")
        }
    }

    @Test(.enabled(if: hasLandlock)) func aFileElsewhereCannotBeReadAtAReload() async throws {
        try await onThread {
            try withFolder { folder in
                try withFolder { other in
                    let config = folder + "/socks5d.yaml"
                    try writeFile(config, Array("user-file: users".utf8))
                    try writeFile(folder + "/users", Array("alice:{plain}one".utf8))
                    try writeFile(other + "/users", Array("alice:{plain}two".utf8))
                    let child = try Invocation.anyPort.adding(Self.on).adding(Invocation("--config", config))
                        .start()
                    defer { child.finish() }
                    let port = try child.waitForPort()
                    try writeFile(config, Array("user-file: \(other)/users".utf8))
                    child.signal(SIGHUP)
                    let line = try child.waitForLine(
                        containing: " error \(config):1:1: user file \(other)/users: "
                    )
                    #expect(line.hasSuffix("Permission denied"))
                    try expectLogin("alice", "one", at: port)
                }
            }
        }
    }

    // MARK: - What goes on

    @Test func filesThatAreReplacedAreReadAndLogsAreRotated() async throws {
        try await onThread {
            try withFolder { folder in
                try writeFile(folder + "/users", Array("alice:{plain}one".utf8))
                let log = folder + "/messages.log"
                let files = Invocation(
                    "--user-file",
                    folder + "/users",
                    "--log-file",
                    log,
                    "--access-log",
                    folder + "/access.log"
                )
                let child = try Invocation.anyPort.adding(Self.on).adding(files).start()
                defer { child.finish() }
                let port = try child.waitForPort()
                try writeFile(folder + "/users.new", Array("alice:{plain}two".utf8))
                rename(folder + "/users.new", folder + "/users")
                child.signal(SIGHUP)
                try eventually("the reload") { try readFile(log).contains(" notice reloaded ") }
                try expectLogin("alice", "two", at: port)
                rename(log, log + ".1")
                child.signal(SIGUSR1)
                child.signal(SIGHUP)
                try eventually("a new log") { ((try? readFile(log)) ?? "").contains(" notice reloaded ") }
            }
        }
    }

    @Test func aQuotaFileAndUnixSocketsAreMadeAndRemoved() async throws {
        try await onThread {
            try withFolder { folder in
                let config = folder + "/socks5d.yaml"
                let text = """
                    users: [{name: alice, password: secret, limits: {quota: {bytes: 1G, period: month}}}]
                    limits: {quota-file: quotas}
                    admin: {listen: "unix:\(folder)/admin.sock"}
                    listen: ["unix:\(folder)/proxy.sock", 127.0.0.1:0]
                    sandbox: on
                    """
                try writeFile(config, Array(text.utf8))
                let child = try Invocation("--config", config).start()
                defer { child.finish() }
                _ = try child.waitForLine("try: ")
                let names = try namesIn(folder)
                // The file has its final name or, for a moment, the temporary one.
                let others = names.filter { !$0.hasPrefix("quotas") }
                #expect(others == ["admin.sock", "proxy.sock", "socks5d.yaml"] && others != names)
                let status = try Invocation("status", "--admin", "unix:\(folder)/admin.sock").start()
                    .waitForEnd()
                #expect(status.exitCode == 0, "\(status)")
                let result = try child.stop()
                #expect(result.exitCode == 0)
                #expect(!result.errors.contains("quota"), "\(result)")
                let left = try namesIn(folder)
                #expect(!left.contains("admin.sock") && !left.contains("proxy.sock"))
            }
        }
    }

    @Test func aFolderOfAUnixSocketMayComeLater() async throws {
        try await onThread {
            try withFolder { folder in
                let config = folder + "/socks5d.yaml"
                let text = """
                    listeners:
                      - address: "unix:\(folder)/a/b/proxy.sock"
                        retry: 1s
                      - address: 127.0.0.1:0
                    sandbox: on
                    """
                try writeFile(config, Array(text.utf8))
                let child = try Invocation("--config", config).start()
                defer {
                    child.finish()
                    for name in ["a/b/proxy.sock", "a/b", "a"] { remove("\(folder)/\(name)") }
                }
                _ = try child.waitForLine("try: ")
                mkdir(folder + "/a", 0o700)
                mkdir(folder + "/a/b", 0o700)
                try eventually("it listens there") {
                    (try? TestSocket(connectingToUnix: "\(folder)/a/b/proxy.sock"))?.close() != nil
                }
            }
        }
    }

    @Test func namesAreLookedUp() async throws {
        try await withSocks5d(Self.on) { _, port in
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            let response = try client.request(
                .connect,
                Destination(name: "localhost", port: listener.port)
            )
            #expect(response.reply == .succeeded)
        }
    }

    @Test(.enabled(if: geteuid() == 0)) func asAnotherUserItServesToo() async throws {
        try await withSocks5d(Self.on.adding(Invocation("--run-as", "64123:64124"))) { _, port in
            try expectRelaying(through: port)
        }
    }
}
