import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// SIGHUP reads everything again, without effect on running sessions.
@Suite struct ReloadTests {
    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test func theLastSignalDecidesWhichUsersExist() async throws {
        try await withFile(Self.text("alice:{plain}one")) { users in
            try await withSocks5d(Invocation("--user-file", users)) { child, port in
                let client = try TestSocket(connectingTo: port)
                defer { client.close() }
                guard try client.logIn("alice", "one") else { throw TestFailure("no login") }

                try writeFile(users, Self.text("alice:{plain}two\nbob:{plain}three"))
                child.signal(SIGHUP)
                let line = try child.waitForLine(containing: " notice reloaded ")
                #expect(line.contains("users=2") && !line.contains("routes="))
                try eventually("the new password is right") {
                    let socket = try TestSocket(connectingTo: port)
                    defer { socket.close() }
                    return try socket.logIn("alice", "two")
                }
                try expectLogin("alice", "one", isAccepted: false, at: port)
                try expectLogin("bob", "three", at: port)

                let listener = try TestListener()
                defer { listener.close() }
                try client.send(SOCKSRequest(command: .connect, destination: .loopback(listener.port)))
                let response = try client.receive(SOCKSResponse.self)
                #expect(response.reply == .succeeded)
            }
        }
    }

    @Test(arguments: [true, false])
    func anotherFileOfTheTokenIsReadWithoutARestart(_ hasOneAtTheStart: Bool) async throws {
        let port = TestListener.unusedPort()
        @Sendable func settings(_ more: String) -> [UInt8] {
            Array("admin: {listen: '127.0.0.1:\(port)'\(more)}\n".utf8)
        }
        let (one, two) = ("0123456789abcdef-one", "0123456789abcdef-two")
        try await withFile(Array(one.utf8)) { first in
            try await withFile(Array(two.utf8)) { second in
                try await withFile(settings(hasOneAtTheStart ? ", token-file: \(first)" : "")) { file in
                    try await withSocks5d(Invocation("--config", file)) { child, _ in
                        func status(_ token: String) throws -> ChildProcess.Result {
                            let admin = ["--admin", "127.0.0.1:\(port)", "--admin-token-file", token]
                            return try Invocation(["status"] + admin).start().waitForEnd()
                        }
                        if hasOneAtTheStart {
                            #expect(try status(first).exitCode == 0 && status(second).exitCode == 1)
                        }
                        try writeFile(file, settings(", token-file: \(second)"))
                        child.signal(SIGHUP)
                        _ = try child.waitForLine(containing: " notice reloaded ")
                        #expect(try status(first).exitCode == 1 && status(second).exitCode == 0)
                        // Without a token it would be open to more than before.
                        try writeFile(file, settings(""))
                        child.signal(SIGHUP)
                        let warning = try child.waitForLine(containing: "a restart is needed")
                        #expect(warning.hasSuffix("settings=admin.token-file"))
                        _ = try child.waitForLine(containing: " notice reloaded ")
                        #expect(try status(first).exitCode == 1 && status(second).exitCode == 0)
                    }
                }
            }
        }
    }

    @Test func aBadFileKeepsTheOldOneAndSaysWhy() async throws {
        try await withFile(Self.text("rules: [{deny: {ports: [1]}}]\nworkers: 1\n")) { file in
            try await withSocks5d(Invocation("--config", file)) { child, port in
                func reply() throws -> Reply {
                    let socket = try TestSocket(connectingTo: port)
                    defer { socket.close() }
                    return try socket.request(.connect, .loopback(1)).reply
                }
                #expect(try reply() == .notAllowed)
                try writeFile(file, Self.text("rules: [{deny: {ports: [0]}}]\nworkerz: 1\n"))
                child.signal(SIGHUP)
                _ = try child.waitForLine(
                    containing: " error \(file):1:25: 'ports' is '0'; expected a port or a range"
                )
                _ = try child.waitForLine(containing: " error \(file):2:1: unknown key 'workerz'")
                _ = try child.waitForLine(containing: " error not reloaded: everything stays as it was")
                #expect(try reply() == .notAllowed)

                try writeFile(file, Self.text("workers: 2\nlisten: [127.0.0.1:1]\n"))
                child.signal(SIGHUP)
                let line = try child.waitForLine(containing: "a restart is needed")
                // The listener is the flag's.
                #expect(line.hasSuffix("settings=workers"))
                _ = try child.waitForLine(containing: " notice reloaded ")
                // The report doesn't make it run with two workers.
                try writeFile(file, Self.text("workers: 2\nbuffer-memory: 1M\n"))
                child.signal(SIGHUP)
                _ = try child.waitForLine(containing: "settings=workers,buffer-memory")
                _ = try child.waitForLine(containing: " notice reloaded ")
                try eventually("the rule is gone") { try reply() == .connectionRefused }

                unlink(file)
                child.signal(SIGHUP)
                _ = try child.waitForLine(containing: " error configuration file \(file): No such file")
                #expect(try reply() == .connectionRefused)
            }
        }
    }

    /// A reload reads on a thread of its own.
    @Test func aReloadThatWaitsForAPipeHoldsUpNothing() async throws {
        try await withFile(Self.text("workers: 1\n")) { file in
            try await withSocks5d(Invocation("--config", file)) { child, port in
                unlink(file)
                #expect(mkfifo(file, 0o600) == 0)
                child.signal(SIGHUP)
                var writer: Int32 = -1
                try eventually("the reload reads") {
                    writer = open(file, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
                    return writer >= 0
                }
                defer { close(writer) }
                try expectRelaying(through: port)
                let result = try child.stop()
                #expect(result.exitCode == 0 && !result.errors.contains("reloaded"), "\(result.errors)")
            }
        }
    }

    @Test func manySignalsEndNothing() async throws {
        try await withSocks5d { child, port in
            try withTunnel(through: port) { client, target in
                for _ in 0..<50 { child.signal(SIGHUP) }
                _ = try child.waitForLine(containing: " notice reloaded ")
                try client.send([1])
                let received = try target.receive(1)
                #expect(received == [1])
            }
            try expectRelaying(through: port)
            let result = try child.stop()
            #expect(result.exitCode == 0)
        }
    }

    /// A mount of a single file shows the old file after it was replaced: a descriptor shows the same, and needs no
    /// privilege.
    @Test func aReloadReportsAFileWhoseNameIsGone() async throws {
        try await withFile(Self.text("alice:{plain}one")) { users in
            try await withFile(Self.text("user-file: \(users)\n")) { file in
                let descriptor = open(file, O_RDONLY | O_CLOEXEC)
                defer { close(descriptor) }
                let mounted = "/proc/\(getpid())/fd/\(descriptor)"
                try await withSocks5d(Invocation("--config", mounted)) { child, _ in
                    child.signal(SIGHUP)
                    _ = try child.waitForLine(containing: " notice reloaded ")
                    unlink(file)
                    child.signal(SIGHUP)
                    _ = try child.waitForLine(
                        containing:
                            " warning \(mounted) was replaced or deleted outside of its mount, and this is "
                            + "still the old file; mount its folder, and restart"
                    )
                    let errors = try child.stop().errors
                    #expect(errors.split(separator: "\n").count { $0.contains("outside of its mount") } == 1)
                    try writeFile(file, [])
                }
            }
        }
    }
}
