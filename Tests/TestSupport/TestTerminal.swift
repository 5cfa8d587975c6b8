import CTestSupport
import Glibc

/// A terminal whose other end belongs to the test.
public final class TestTerminal: Sendable {
    /// The file of the terminal, for a program to open.
    public let path: String
    private let ours: Int32
    /// Held open, so that the settings persist.
    private let terminal: Int32

    public init() throws {
        var name = [CChar](repeating: 0, count: 64)
        ours = test_terminal_open(&name, Int32(name.count))
        guard ours >= 0 else { throw TestFailure.lastError("posix_openpt") }
        path = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        terminal = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard terminal >= 0 else { throw TestFailure.lastError(path) }
    }

    /// Like Ctrl-S: nothing is written until ``resume()``.
    public func stop() {
        tcflow(terminal, TCOOFF)
    }

    public func resume() {
        tcflow(terminal, TCOON)
    }

    /// Reads what the program has written until a line has `part` in it.
    public func read(until part: String) throws -> String {
        var text = ""
        let end = monotonicMilliseconds() + deadlineSeconds * 1000
        while !text.contains(part) {
            var ready = pollfd(fd: ours, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, Int32(max(0, end - monotonicMilliseconds()))) > 0 else {
                throw TestFailure("no '\(part)' on the terminal; \(text.suffix(500))")
            }
            var chunk = [UInt8](repeating: 0, count: 65536)
            let count = Glibc.read(ours, &chunk, chunk.count)
            guard count > 0 else { throw TestFailure.lastError("read") }
            // Earlier output is examined once.
            text = String(text.suffix(200)) + String(decoding: chunk[..<count], as: UTF8.self)
        }
        return text
    }

    public func close() {
        closeOnce(terminal)
        closeOnce(ours)
    }
}
