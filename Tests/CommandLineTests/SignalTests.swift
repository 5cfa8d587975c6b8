import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

@Suite struct SignalTests {
    @Test(arguments: [SIGTERM, SIGINT]) func theFirstSignalLetsTransfersFinish(_ signal: Int32) async throws {
        try await withSocks5d { child, port in
            try withTunnel(through: port) { client, target in
                child.signal(signal)
                _ = try child.waitForLine(containing: " notice stopping ")
                try eventually("nobody listens any more") { try !isListening(port) }
                let bytes = [UInt8](repeating: 7, count: 64 << 10)
                try target.send(bytes)
                let received = try client.receive(bytes.count)
                #expect(received == bytes)
                client.endSending()
                let rest = try target.receiveToEnd()
                #expect(rest.isEmpty)
                #expect(child.isRunning)
                target.endSending()
                let end = try client.receiveToEnd()
                #expect(end.isEmpty)
            }
            let code = try child.waitForExit()
            #expect(code == 0)
        }
    }

    @Test(arguments: [SIGTERM, SIGINT]) func theSecondSignalEndsAtOnce(_ signal: Int32) async throws {
        try await withSocks5d(Invocation("--drain-timeout", "1h")) { child, port in
            try withTunnel(through: port) { _, _ in
                child.signal(SIGTERM)
                _ = try child.waitForLine(containing: " notice stopping ")
                child.signal(signal)
                let code = try child.waitForExit()
                #expect(code == 128 + signal)
            }
        }
    }

    @Test(arguments: Origin.allCases) func afterTheTimeToDrainTheRestIsReset(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("drain-timeout", "200ms", by: origin)) { child, port in
            try withTunnel(through: port) { client, target in
                let start = monotonicMilliseconds()
                child.signal(SIGTERM)
                try client.expectReset()
                try target.expectReset()
                let code = try child.waitForExit()
                #expect(code == 0)
                let passed = monotonicMilliseconds() - start
                #expect((200..<7000).contains(passed))
            }
        }
    }

    @Test func withoutSessionsTheEndComesAtOnce() async throws {
        try await withSocks5d(Invocation("--drain-timeout", "1h")) { child, _ in
            let result = try child.stop()
            #expect(result.exitCode == 0)
        }
    }

    @Test func aStopAndContinueLosesNothing() async throws {
        try await withSocks5d { child, port in
            try withTunnel(through: port) { client, target in
                child.signal(SIGSTOP)
                try eventually("it has stopped") { child.state == "T" }
                try client.send([1, 2, 3])
                let waiting = try TestSocket(connectingTo: port)
                defer { waiting.close() }
                try waiting.send(Greeting(methods: [.noAuthentication]))
                child.signal(SIGCONT)
                let received = try target.receive(3)
                #expect(received == [1, 2, 3])
                let selection = try waiting.receive(MethodSelection.self)
                #expect(selection.method == .noAuthentication)
            }
        }
    }

    private func isListening(_ port: Int) throws -> Bool {
        guard let socket = try? TestSocket(connectingTo: port) else { return false }
        socket.close()
        return true
    }
}

/// Runs `body` with both ends of a tunnel.
func withTunnel(through port: Int, _ body: (TestSocket, TestSocket) throws -> Void) throws {
    let listener = try TestListener()
    defer { listener.close() }
    let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
    defer { client.close() }
    let target = try listener.accept()
    defer { target.close() }
    try body(client, target)
}

extension ChildProcess {
    /// The letter of proc(5): `R`, `S`, `T`, `Z`.
    var state: String? {
        let stat = (try? readFile("/proc/\(pid)/stat")) ?? ""
        return stat.split(separator: ")").last?.split(separator: " ").first.map(String.init)
    }

    var isRunning: Bool { state != nil && state != "Z" }
}
