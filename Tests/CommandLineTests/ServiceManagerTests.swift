import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

@testable import socks5d

/// The end of `NOTIFY_SOCKET` that systemd holds.
private final class NotifySocket: Sendable {
    let path: String
    private let descriptor: Int32

    init(in folder: String) throws {
        path = "\(folder)/notify"
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw TestFailure("bind") }
        var limit = timeval(tv_sec: deadlineSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// The lines of the next datagram.
    func receive() throws -> [String] {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { throw TestFailure("nothing was notified") }
        return String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// The next datagram with this line; signs of life and states are skipped.
    func receive(_ line: String) throws -> [String] {
        while true {
            let lines = try receive()
            if lines.contains(line) { return lines }
        }
    }
}

/// The notifications to systemd (sd_notify(3)).
@Suite struct ServiceManagerTests {
    private static func withNotified(
        _ more: [String] = [],
        environment: [String: String] = [:],
        _ body: @escaping @Sendable (ChildProcess, _ port: Int, NotifySocket) throws -> Void
    ) async throws {
        try await onThread {
            try withFolder { folder in
                let notify = try NotifySocket(in: folder)
                let variables = environment.merging(["NOTIFY_SOCKET": notify.path]) { $1 }
                let child = try Invocation(["--listen", "127.0.0.1:0"] + more, environment: variables).start()
                defer { child.finish() }
                try body(child, try child.waitForPort(), notify)
            }
        }
    }

    @Test func startReloadAndStopAreNotified() async throws {
        try await Self.withNotified { child, port, notify in
            let ready = try notify.receive()
            #expect(ready[0] == "READY=1" && ready[1].hasPrefix("STATUS=serving, at most "))
            try expectRelaying(through: port)
            child.signal(SIGHUP)
            let reloading = try notify.receive()
            #expect(reloading[0] == "RELOADING=1")
            let time = try #require(reloading[1].split(separator: "=").last.flatMap { Int($0) })
            #expect(
                reloading[1].hasPrefix("MONOTONIC_USEC=")
                    && abs(time / 1000 - monotonicMilliseconds()) < 60_000
            )
            #expect(try notify.receive() == ["READY=1", "STATUS=serving, 0 user(s), 0 rule(s)"])
            child.signal(SIGTERM)
            #expect(try notify.receive() == ["STOPPING=1", "STATUS=draining"])
            #expect(try child.waitForExit() == 0)
        }
    }

    @Test func aDrainReportsTheRemainingSessionsEachSecond() async throws {
        try await Self.withNotified(["--drain-timeout", "3"]) { child, port, notify in
            try withTunnel(through: port) { client, _ in
                child.signal(SIGTERM)
                _ = try notify.receive("STATUS=draining, 1 session(s) left")
                let line = try child.waitForLine(containing: " notice draining seconds_left=")
                #expect(
                    line.hasSuffix("seconds_left=2 sessions=1") || line.hasSuffix("seconds_left=1 sessions=1")
                )
                client.reset()
                #expect(try child.waitForExit() == 0)
            }
        }
    }

    /// From then on the service manager watches the new process.
    @Test func aProcessThatTakesThePlaceOfAnotherIsTheMainOne() async throws {
        try await onThread {
            try withFolder { folder in
                let notify = try NotifySocket(in: folder)
                let arguments = ["--listen", "127.0.0.1:0", "--admin", "unix:\(folder)/admin.sock"]
                let variables = ["NOTIFY_SOCKET": notify.path]
                let old = try Invocation(arguments, environment: variables).start()
                defer { old.finish() }
                let first = try notify.receive("READY=1")
                #expect(!first.contains { $0.hasPrefix("MAINPID=") })
                let next = try Invocation(arguments + ["--take-over"], environment: variables).start()
                defer { next.finish() }
                let second = try notify.receive("READY=1")
                #expect(second.contains("MAINPID=\(next.pid)"), "\(second)")
                #expect(try old.waitForExit() == 0)
            }
        }
    }

    @Test func aWatchdogGetsSignsOfLife() async throws {
        try await Self.withNotified(environment: ["WATCHDOG_USEC": "200000"]) { _, _, notify in
            for _ in 0..<3 { _ = try notify.receive("WATCHDOG=1") }
        }
    }

    @Test func invalidVariablesAreIgnored() {
        func manager(_ variables: [String: String]) -> ServiceManager {
            ServiceManager(process: 42) { variables[$0] }
        }
        let place = ["NOTIFY_SOCKET": "/run/notify"]
        #expect(manager(place).watchdog == nil)
        #expect(manager(["WATCHDOG_USEC": "1000"]).watchdog == nil)
        func watchdog(_ variables: [String: String]) -> Duration? {
            manager(variables.merging(place) { $1 }).watchdog
        }
        #expect(watchdog(["WATCHDOG_USEC": "1000"]) == .milliseconds(1))
        #expect(watchdog(["WATCHDOG_USEC": "1000", "WATCHDOG_PID": "42"]) == .milliseconds(1))
        #expect(watchdog(["WATCHDOG_USEC": "1000", "WATCHDOG_PID": "41"]) == nil)
        for text in ["0", "-1", "x", "", "99999999999999999999"] {
            #expect(watchdog(["WATCHDOG_USEC": text]) == nil)
        }
        // Nowhere to send to: no harm.
        for path in [
            "", "relative", "/nonexistent/notify", "@nobody", "/" + String(repeating: "x", count: 200),
        ] {
            manager(["NOTIFY_SOCKET": path]).alive()
        }
    }

    @Test func clientsAreTakenUntilTheDelayOfTheDrainIsOver() async throws {
        try await onThread {
            try withFolder { folder in
                let socket = "\(folder)/admin.sock"
                let child = try Invocation(
                    "--listen",
                    "127.0.0.1:0",
                    "--admin",
                    "unix:\(socket)",
                    "--drain-delay",
                    "60",
                    "--drain-timeout",
                    "0"
                ).start()
                defer { child.finish() }
                let port = try child.waitForPort()
                child.signal(SIGTERM)
                _ = try child.waitForLine(containing: " notice stopping ")
                let client = try TestSocket(connectingToUnix: socket)
                defer { client.close() }
                try client.send(Array("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
                #expect(try client.receive(12) == Array("HTTP/1.1 503".utf8))
                try expectRelaying(through: port)
                // A second one ends it at once.
                child.signal(SIGTERM)
                _ = try child.waitForExit()
            }
        }
    }
}
