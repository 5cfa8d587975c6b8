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

    /// Before its first instruction a signal kills any program; from then on this one ends in order.
    @Test func aSignalAtAnyMomentOfTheStartEndsIt() async throws {
        try await onThread {
            var random = SeededGenerator(seed: 47)
            for _ in 0..<40 {
                let child = try Invocation("--listen", "127.0.0.1:0", "--workers", "64").start()
                defer { child.finish() }
                usleep(UInt32.random(in: 0...30_000, using: &random))
                child.signal(SIGTERM)
                let result = try child.waitForEnd()
                #expect([0, 128 + SIGTERM].contains(result.exitCode), "\(result)")
                #expect(!result.errors.contains("socks5d: "), "\(result)")
                if result.exitCode != 0 { #expect(result.errors.isEmpty, "\(result)") }
            }
        }
    }

    @Test(arguments: [SIGTERM, SIGINT]) func aSignalWhileTheSettingsAreReadEndsIt(_ signal: Int32)
        async throws
    {
        try await withNamedPipe { path in
            let child = try Invocation("--config", path).start()
            defer { child.finish() }
            // Opens as soon as the program reads.
            let writer = open(path, O_WRONLY | O_CLOEXEC)
            defer { close(writer) }
            try eventually("it waits for the rest") { child.threadStates["socks5d-start"] == "S" }
            child.signal(signal)
            let result = try child.waitForEnd()
            #expect(result.exitCode == 0 && result.errors.isEmpty, "\(result)")
        }
    }

    @Test func aReloadThatIsAskedForDuringTheStartIsDone() async throws {
        try await withNamedPipe { path in
            let child = try Invocation("--config", path).start()
            defer { child.finish() }
            let writer = open(path, O_WRONLY | O_CLOEXEC)
            child.signal(SIGHUP)
            try eventually("the signal is taken") { !child.hasPendingSignals }
            let text = Array("listen: [127.0.0.1:0]\n".utf8)
            #expect(write(writer, text, text.count) == text.count)
            close(writer)
            _ = try child.waitForPort()
            // Read once more.
            try writeFile(path, text + Array("users: [{name: alice, password: hunter2}]\n".utf8))
            let line = try child.waitForLine(containing: " notice reloaded ")
            #expect(line.contains("users=1"))
        }
    }

    @Test(arguments: [SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ, SIGHUP])
    func aSignalWithoutAMeaningEndsNothing(_ signal: Int32) async throws {
        try await withSocks5d { child, port in
            try withTunnel(through: port) { client, target in
                for _ in 0..<20 { child.signal(signal) }
                try client.send([1, 2])
                let received = try target.receive(2)
                #expect(received == [1, 2])
            }
            try expectRelaying(through: port)
            let result = try child.stop()
            #expect(result.exitCode == 0)
        }
    }

    /// Like any other program: only a server has something to finish.
    @Test func aSignalEndsTheOtherCommandsAtOnce() async throws {
        try await onThread {
            let silent = try TestListener()
            defer { silent.close() }
            let probe = ["probe", "--via", "127.0.0.1:\(silent.port)", "--timeout", "3600", "127.0.0.1:9"]
            let child = try Invocation(probe).start()
            defer { child.finish() }
            let socket = try silent.accept()
            defer { socket.close() }
            _ = try socket.receive(1)
            child.signal(SIGINT)
            let code = try child.waitForExit()
            #expect(code == 128 + SIGINT)
        }
    }

    /// For any number of waiting connections, on any of the listeners.
    @Test(arguments: [1, 4]) func connectionsThatTheKernelHasCompletedAreServedAtAStop(_ workers: Int)
        async throws
    {
        _ = try raiseDescriptorLimit()
        try await withSocks5d(Invocation("--workers", "\(workers)")) { child, port in
            let listener = try TestListener()
            var clients: [TestSocket] = []
            try child.whileStopped {
                for _ in 0..<800 { clients.append(try TestSocket(connectingTo: port)) }
                child.signal(SIGTERM)
            }
            for client in clients { try client.greet() }
            try clients[799].send(SOCKSRequest(command: .connect, destination: .loopback(listener.port)))
            let response = try clients[799].receive(SOCKSResponse.self)
            #expect(response.reply == .succeeded)
            listener.close()
            for client in clients { client.close() }
            let code = try child.waitForExit()
            #expect(code == 0)
        }
    }

    /// Connections that come while the listeners close, one after the other, are served or refused.
    @Test func connectionsDuringAStopAreNotReset() async throws {
        for _ in 0..<10 {
            try await withSocks5d(Invocation("--workers", "4")) { child, port in
                let clients = (0..<4).map { _ in
                    TestThread {
                        while let client = try? TestSocket(connectingTo: port) {
                            defer { client.close() }
                            try client.greet()
                        }
                    }
                }
                usleep(20_000)
                child.signal(SIGTERM)
                for client in clients { try client.join() }
                let code = try child.waitForExit()
                #expect(code == 0)
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

/// Runs `body` in a thread with the path of a pipe that has a name.
private func withNamedPipe(_ body: @escaping @Sendable (String) throws -> Void) async throws {
    try await onThread {
        try withFolder { folder in
            let path = "\(folder)/pipe"
            guard mkfifo(path, 0o600) == 0 else { throw TestFailure("mkfifo \(path)") }
            try body(path)
        }
    }
}

extension ChildProcess {
    /// Signals that were sent and not yet received (proc(5), ShdPnd).
    fileprivate var hasPendingSignals: Bool {
        let lines = ((try? readFile("/proc/\(pid)/status")) ?? "").split(separator: "\n")
        let line = lines.first { $0.hasPrefix("ShdPnd:") }
        return line?.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) } != 0
    }

    /// The letters of proc(5) by the names of the threads.
    fileprivate var threadStates: [String: String] {
        let threads = (try? namesIn("/proc/\(pid)/task")) ?? []
        let stats = threads.compactMap { try? readFile("/proc/\(pid)/task/\($0)/stat") }
        let pairs = stats.map { stat in
            let parts = stat.split(separator: "(").last?.split(separator: ")") ?? []
            return (String(parts.first ?? ""), String(parts.last?.split(separator: " ").first ?? ""))
        }
        return Dictionary(pairs) { first, _ in first }
    }

    /// The letter of proc(5): `R`, `S`, `T`, `Z`.
    var state: String? {
        let stat = (try? readFile("/proc/\(pid)/stat")) ?? ""
        return stat.split(separator: ")").last?.split(separator: " ").first.map(String.init)
    }

    var isRunning: Bool { state != nil && state != "Z" }
}
