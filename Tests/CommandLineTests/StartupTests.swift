import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// The process, whatever it is started with.
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

extension ChildProcess {
    /// The path behind a descriptor.
    fileprivate func file(of descriptor: Int) -> String {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/\(pid)/fd/\(descriptor)", &path, path.count)
        return String(decoding: path.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
