import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// The process, in whatever state it is started.
@Suite struct StartupTests {
    @Test(arguments: [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]])
    func closedStandardDescriptorsLeadNowhere(_ closed: [Int]) async throws {
        try await onThread {
            let port = TestListener.unusedPort()
            let closing = closed.map { "\($0)<&-" }.joined(separator: " ")
            let run = "exec \"$0\" --listen 127.0.0.1:\(port) --log-level info \(closing)"
            let child = try ChildProcess(["sh", "-c", run, ChildProcess.socks5d])
            defer { child.finish() }
            try eventually("it serves") { (try? expectRelaying(through: port)) != nil }
            for descriptor in closed { #expect(child.file(of: descriptor) == "/dev/null") }
            child.signal(SIGTERM)
            let code = try child.waitForExit()
            #expect(code == 0)
        }
    }

    @Test func aMessageToClosedDescriptorsEndsAsAlways() throws {
        let run = "exec \"$0\" --workers 0 0<&- 1<&- 2<&-"
        let result = try ChildProcess(["sh", "-c", run, ChildProcess.socks5d]).waitForEnd()
        #expect(result.exitCode == 64)
    }

    @Test(arguments: [
        (
            ["--clients", "192.0.2.0/24,192.0.3.1"], "--socks5-hostname",
            " (from 192.0.2.0/24 or 192.0.3.1, as 'clients' says)"
        ),
        (["--protocols", "http"], "--proxy", ""), (["--protocols", "socks4"], "--socks4a", ""),
        (
            ["--proxy-protocol", "127.0.0.1", "--open"], "--socks5-hostname",
            " (at the address of the load balancer)"
        ),
    ])
    func theCommandToTrySuitsTheListener(_ flags: [String], _ option: String, _ where: String) async throws {
        try await onThread {
            let child = try Invocation.anyPort.adding(Invocation(flags)).start()
            defer { child.finish() }
            let port = try #require(Int(child.waitForLine("listening on 127.0.0.1:")))
            let command = try child.waitForLine("try: ")
            #expect(command == "curl \(option) 127.0.0.1:\(port) https://example.com/\(`where`)")
        }
    }

    /// Nothing waits for a backtrace.
    @Test(arguments: [SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGTRAP, SIGFPE])
    func aCrashEndsTheProcess(_ fault: Int32) async throws {
        try await onThread {
            var environment = ChildProcess.ownEnvironment
            environment["SWIFT_BACKTRACE"] = nil
            let arguments = [ChildProcess.socks5d, "--listen", "127.0.0.1:0"]
            let child = try ChildProcess(arguments, environment: environment)
            defer { child.finish() }
            _ = try child.waitForPort()
            child.signal(fault)
            let code = try child.waitForExit(within: deadlineSeconds / 4)
            #expect(code == 128 + fault)
        }
    }
}

/// Too little of the system's resources.
@Suite(.enabled(if: !isQuick, "a sanitizer needs far more addresses")) struct ShortageTests {
    /// It either serves, or ends and says why.
    ///
    /// - Parameter mayFailToLoad: whether the system may report the failure instead.
    private func expectServiceOrMessage(
        _ launcher: [String],
        _ program: String = ChildProcess.socks5d,
        mayFailToLoad: Bool = false
    ) throws {
        let child = try ChildProcess(launcher + [program, "--listen", "127.0.0.1:0"])
        defer { child.finish() }
        guard let port = try? child.waitForPort() else {
            let result = try child.waitForEnd()
            let isMessage = result.exitCode == 1 && result.errors.contains("socks5d: ")
            #expect(isMessage || mayFailToLoad && result.exitCode == 127, "\(launcher): \(result)")
            return
        }
        let clients = try (0..<50).map { _ in try TestSocket(connectingTo: port) }
        for client in clients {
            try client.greet()
            client.close()
        }
        let result = try child.stop()
        #expect(result.exitCode == 0, "\(launcher): \(result)")
    }

    @Test(arguments: [32, 64, 96, 128, 192, 256, 300, 400, 512])
    func withFewAddressesItServesOrSaysWhyNot(_ mebibytes: Int) async throws {
        try await onThread {
            let limited = "ulimit -v \(mebibytes << 10); exec \"$0\" \"$@\""
            try expectServiceOrMessage(["sh", "-c", limited], mayFailToLoad: mebibytes < 64)
        }
    }

    /// The limit doesn't bind root.
    @Test(
        .enabled(if: getuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0, "only root can be somebody else")
    )
    func withFewThreadsItServesOrSaysWhyNot() async throws {
        try await onThread {
            try withFolder { folder in
                chmod(folder, 0o755)
                let program = "\(folder)/socks5d"
                let copy = try ChildProcess(["cp", ChildProcess.socks5d, program]).waitForEnd()
                #expect(copy.exitCode == 0)
                for threads in [0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 20, 40] {
                    let limited = "ulimit -u \(threads); exec \"$0\" \"$@\""
                    try expectServiceOrMessage(
                        ["setpriv", "--reuid", "60123", "--clear-groups", "bash", "-c", limited],
                        program
                    )
                }
            }
        }
    }

    @Test func fewDescriptorsComeWithAWarning() async throws {
        try await onThread {
            let run = "ulimit -n 64; exec \"$0\" --listen 127.0.0.1:0"
            let child = try ChildProcess(["sh", "-c", run, ChildProcess.socks5d])
            defer { child.finish() }
            let line = try child.waitForLine(containing: " warning few connections: descriptors are short")
            for part in ["ulimit -Hn", "LimitNOFILE=", "--ulimit nofile=", " descriptors=64 ", " limit=1"] {
                #expect(line.contains(part), "\(line)")
            }
            let result = try child.stop()
            #expect(result.exitCode == 0)
        }
        // If the operator has set a low number, no warning is needed.
        try await withSocks5d(Invocation("--max-connections", "5")) { child, _ in
            let result = try child.stop()
            #expect(!result.errors.contains("descriptors"))
        }
    }
}

extension ChildProcess {
    /// The path behind a descriptor.
    fileprivate func file(of descriptor: Int) -> String {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/\(pid)/fd/\(descriptor)", &path, path.count)
        return String(decoding: path.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
