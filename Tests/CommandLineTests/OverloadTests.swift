import Glibc
import Locks
import SOCKS5Protocol
import TestSupport
import Testing

/// More sessions than lines that the access log's sink accepts.
@Suite struct OverloadTests {
    /// So long that 8 MB of lines wait for the sink after about two thousand sessions: each byte takes six in the log.
    private static let name = [UInt8](repeating: 1, count: 255)
    private static let sessions = 3000
    private static let clients = 4

    /// A session that ends with a line of 3 KB: the request is for a name that nobody has.
    private static func haveSession(_ port: Int) throws {
        let client = try TestSocket(connectingTo: port)
        defer { client.close() }
        let credentials = [1, UInt8(name.count)] + name + [1, 0x61]
        try client.send([5, 1, 2] + credentials + [5, 1, 0, 3, UInt8(name.count)] + name + [0, 80])
        _ = try client.receiveToEnd()
    }

    private static func metric(_ name: String, at socket: String) throws -> Int {
        let client = try TestSocket(connectingToUnix: socket)
        defer { client.close() }
        try client.send(Array("GET /metrics HTTP/1.0\r\n\r\n".utf8))
        let text = String(decoding: try client.receiveToEnd(), as: UTF8.self)
        return text.split(separator: "\n").filter { $0.hasPrefix(name + "{") || $0.hasPrefix(name + " ") }
            .compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }.reduce(0, +)
    }

    /// All lines that are there, and those that come until `isEnough`.
    private static func lines(_ descriptor: Int32, until isEnough: (Int) throws -> Bool) throws -> Int {
        var (lines, chunk) = (0, [UInt8](repeating: 0, count: 1 << 16))
        try eventually("all lines are read") {
            while true {
                let count = read(descriptor, &chunk, chunk.count)
                guard count > 0 else { break }
                lines += chunk[..<count].count { $0 == UInt8(ascii: "\n") }
            }
            return try isEnough(lines)
        }
        return lines
    }

    /// Takes some seconds: nothing less overloads a queue of 8 MB.
    @Test func eachSessionHasALineThatIsWrittenOrCountedAsDropped() async throws {
        try await onThread {
            try withFolder { folder in
                let (fifo, admin) = (folder + "/fifo", folder + "/admin.sock")
                #expect(mkfifo(fifo, 0o600) == 0)
                let reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
                defer { close(reader) }
                let user = String(decoding: Self.name, as: UTF8.self) + ":a"
                let server = Invocation.anyPort.adding(
                    Invocation("--access-log", fifo, "--admin", "unix:" + admin, "--user", user)
                )
                let child = try server.start()
                defer { child.finish() }
                let port = try child.waitForPort()
                let share = Self.sessions / Self.clients
                let clients = (0..<Self.clients).map { _ in
                    TestThread { for _ in 0..<share { try Self.haveSession(port) } }
                }
                for client in clients { try client.join() }
                func metric(_ name: String) throws -> Int { try Self.metric("socks5d_" + name, at: admin) }
                try eventually("all sessions have ended") {
                    try metric("sessions_ended_total") == Self.sessions
                }
                let dropped = try metric("log_lines_dropped_total")
                #expect(dropped > 0)
                let lines = try Self.lines(reader) { $0 + dropped >= Self.sessions }
                #expect(lines + dropped == Self.sessions)
                // From now on nothing is lost, and nothing comes twice.
                try Self.haveSession(port)
                #expect(try Self.lines(reader) { $0 >= 1 } == 1)
                #expect(try metric("log_lines_dropped_total") == dropped)
                let errors = try child.stop().errors
                #expect(try Self.lines(reader) { _ in true } == 0)
                #expect(errors.contains(" dropped_so_far=\(dropped)"), "\(errors.suffix(2000))")
            }
        }
    }
}
