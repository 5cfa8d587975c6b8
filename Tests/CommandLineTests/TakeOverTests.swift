import Glibc
import Locks
import SOCKS5Protocol
import TestSupport
import Testing

/// A process replaces a running one, and its clients don't notice.
@Suite struct TakeOverTests {
    private static func server(_ folder: String, _ more: String..., environment: [String: String] = [:])
        throws
        -> ChildProcess
    {
        try Invocation(
            ["--listen", "127.0.0.1:0,unix:\(folder)/proxy.sock", "--admin", "unix:\(folder)/admin.sock"]
                + more,
            environment: environment
        ).start()
    }

    /// Connects as long as `goesOn` returns true, about 1,000 times per second; each connection is greeted.
    private static func flood(_ port: Int, _ goesOn: () -> Bool) throws -> (connections: Int, failures: Int) {
        var (connections, failures) = (0, 0)
        let start = monotonicMilliseconds()
        while goesOn() {
            guard connections <= monotonicMilliseconds() - start else {
                usleep(200)
                continue
            }
            connections += 1
            do {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                try socket.greet()
            } catch {
                failures += 1
            }
        }
        return (connections, failures)
    }

    @Test func noConnectionFailsWhileAProcessTakesThePlaceOfAnother() async throws {
        try await onThread {
            try withFolder { folder in
                let old = try Self.server(folder)
                defer { old.finish() }
                let port = try old.waitForPort()
                let isOver = Guarded(false)
                let result = Guarded<(connections: Int, failures: Int)?>(nil)
                let flood = TestThread {
                    let counts = try? Self.flood(port) { !isOver.withLock { $0 } }
                    result.withLock { $0 = counts }
                }
                var last = old
                for _ in 0..<2 {
                    let next = try Self.server(folder, "--take-over")
                    #expect(try next.waitForPort() == port)
                    _ = try last.waitForLine(containing: "leaving to another process")
                    #expect(try last.waitForExit() == 0)
                    last.finish()
                    last = next
                }
                defer { last.finish() }
                isOver.withLock { $0 = true }
                try flood.join()
                let counts = try #require(result.withLock { $0 })
                #expect(counts.failures == 0 && counts.connections > 50, "\(counts)")
                let status = try Invocation("status", "--admin", "unix:\(folder)/admin.sock").start()
                    .waitForEnd()
                #expect(status.exitCode == 0)
                #expect(try last.stop().exitCode == 0)
                #expect(try namesIn(folder).isEmpty)
            }
        }
    }

    @Test func sessionsOfTheOldProcessLiveToTheirEnd() async throws {
        try await onThread {
            try withFolder { folder in
                let old = try Self.server(folder, "--drain-timeout", "1h")
                defer { old.finish() }
                let port = try old.waitForPort()
                try withTunnel(through: port) { client, target in
                    let next = try Self.server(folder, "--take-over")
                    defer { next.finish() }
                    _ = try next.waitForPort()
                    _ = try old.waitForLine(containing: "leaving to another process")
                    let unix = try TestSocket(connectingToUnix: "\(folder)/proxy.sock")
                    defer { unix.close() }
                    try unix.greet()
                    _ = try old.waitForLine(containing: " notice draining seconds_left=")
                    try target.send([1])
                    #expect(try client.receive(1) == [1])
                    #expect(old.isRunning)
                    client.endSending()
                    #expect(try target.receiveToEnd().isEmpty)
                    target.endSending()
                    #expect(try client.receiveToEnd().isEmpty)
                    #expect(try old.waitForExit() == 0)
                    try expectRelaying(through: port)
                }
            }
        }
    }

    @Test func theOldProcessContinuesIfTheNewOneFails() async throws {
        try await onThread {
            try withFolder { folder in
                let old = try Self.server(folder)
                defer { old.finish() }
                let port = try old.waitForPort()
                let taken = try TestListener()
                defer { taken.close() }
                // The new process has the sockets, and couldn't open another one.
                let next = try Invocation(
                    "--listen",
                    "127.0.0.1:0,127.0.0.1:\(taken.port)",
                    "--take-over",
                    "--admin",
                    "unix:\(folder)/admin.sock"
                ).start().waitForEnd()
                #expect(next.exitCode == 1 && next.errors.contains("is in use"))
                // And a process that sends nothing after its request.
                let mute = try TestSocket(connectingToUnix: "\(folder)/admin.sock")
                try mute.send(Array("POST /take-over HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
                #expect(try mute.receive(12) == Array("HTTP/1.1 200".utf8))
                mute.close()
                for _ in 0..<20 { try expectRelaying(through: port) }
                let unix = try TestSocket(connectingToUnix: "\(folder)/proxy.sock")
                defer { unix.close() }
                try unix.greet()
                #expect(old.isRunning)
            }
        }
    }

    @Test func aTakeOverWithoutAPredecessorOrByTheWrongWayIsNamed() async throws {
        let tcp = Invocation("--take-over", "--admin", "127.0.0.1:0").adding(.anyPort)
        try await expectRefusal(
            of: tcp,
            exitCode: 64,
            saying: "--take-over: expected admin.listen (--admin) to be the unix"
        )
        try await expectRefusal(
            of: Invocation("--take-over").adding(.anyPort),
            exitCode: 64,
            saying: "--take-over"
        )
        let nobody = Invocation("--take-over", "--admin", "unix:/nonexistent/admin.sock").adding(.anyPort)
        try await expectRefusal(of: nobody, exitCode: 1, saying: "is the process running whose place")
        try await onThread {
            try withFolder { folder in
                let old = try Self.server(folder)
                defer { old.finish() }
                let port = try old.waitForPort()
                let client = try TestSocket(connectingToUnix: "\(folder)/admin.sock")
                defer { client.close() }
                try client.send(Array("POST /take-over/finish?ticket=1 HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
                #expect(try client.receive(12) == Array("HTTP/1.1 409".utf8))
                try expectRelaying(through: port)
            }
        }
    }
}
