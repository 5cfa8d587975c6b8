internal import CProcess
internal import Glibc
internal import SOCKS5Server
internal import Synchronization
internal import Text

/// Standard error, a line at a time, in the order of writing.
///
/// A terminal, pipe or file that takes nothing for a while costs lines and not service: whoever writes a line never
/// waits. Lines that are lost are counted, and their number is told as soon as standard error takes something again.
enum StandardError {
    /// `nil` where the system denies a pipe or a thread.
    private static let queue = LineQueue()
    private static let isUsed = Atomic<Bool>(false)
    private static let lost = Atomic<Int>(0)

    static let newline = UInt8(ascii: "\n")
    private static let millisecondsToTake: Int32 = 1000

    static func write(_ line: String) {
        isUsed.store(true, ordering: .relaxed)
        let before = takeLost()
        var text = line.printable
        if before > 0 { text += " (\(before) lines before this one were lost)" }
        let bytes = Array(text.utf8.prefix(LineQueue.longestLine - 1)) + [newline]
        let isTaken = queue?.add(bytes) ?? writeNow(bytes)
        if !isTaken { noteLost(before + 1) }
    }

    /// Waits until all that was written before has been taken, for a second at most: what remains then is lost.
    static func flush() {
        guard isUsed.load(ordering: .relaxed) else { return }
        queue?.flush(within: millisecondsToTake)
    }

    static func noteLost(_ lines: Int) {
        lost.wrappingAdd(lines, ordering: .relaxed)
    }

    static func takeLost() -> Int {
        lost.exchange(0, ordering: .relaxed)
    }

    private static func writeNow(_ bytes: [UInt8]) -> Bool {
        var output = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        return poll(&output, 1, millisecondsToTake) == 1
            && Glibc.write(STDERR_FILENO, bytes, bytes.count) == bytes.count
    }
}

/// The lines on their way to standard error: a pipe of the program's own, and one thread that empties it.
///
/// The kernel keeps lines whole and in order, bounds them, and wakes the thread; nobody holds a lock.
private struct LineQueue: Sendable {
    /// A pipe takes so much at once, or nothing (PIPE_BUF, pipe(7)).
    static let longestLine = 4096
    private static let capacity = 1 << 20

    /// Stands for a question whether all before it is written. Lines are printable, so that none is the same.
    private static let mark: [UInt8] = [0, StandardError.newline]

    private var entry: Int32 = -1
    private var exit: Int32 = -1
    /// Readable once a mark was found.
    private var answer: Int32 = -1
    private var answering: Int32 = -1

    init?() {
        guard process_pipe(&exit, &entry, Self.capacity) == 0 else { return nil }
        do {
            guard process_pipe(&answer, &answering, Self.longestLine) == 0 else { throw Failure.runtime("") }
            try ProxyServer.inThread(named: "socks5d-log") { [self] in writeAll() }
        } catch {
            for descriptor in [entry, exit, answer, answering] where descriptor >= 0 { close(descriptor) }
            return nil
        }
    }

    /// - Returns: false where there is no room.
    func add(_ line: [UInt8]) -> Bool {
        write(entry, line, line.count) == line.count
    }

    func flush(within milliseconds: Int32) {
        while !add(Self.mark) {
            guard Self.wait(for: entry, POLLOUT, milliseconds) else { return }
        }
        _ = Self.wait(for: answer, POLLIN, milliseconds)
    }

    private func writeAll() -> Never {
        var held: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(exit, &chunk, chunk.count)
            if count > 0 {
                held = writeLines(held + chunk[..<count])
            } else {
                tellOfLostLines()
                _ = Self.wait(for: exit, POLLIN, -1)
            }
        }
    }

    /// - Returns: the beginning of a line whose rest is still in the pipe.
    private func writeLines(_ bytes: [UInt8]) -> [UInt8] {
        var (start, next) = (0, 0)
        while let end = bytes[next...].firstIndex(of: StandardError.newline) {
            if bytes[next...end].elementsEqual(Self.mark) {
                Self.writeWhole(bytes[start..<next])
                start = end + 1
                tellOfLostLines()
                write(answering, Self.mark, 1)
            } else if end - start >= Self.longestLine {
                Self.writeWhole(bytes[start..<next])
                start = next
            }
            next = end + 1
        }
        Self.writeWhole(bytes[start..<next])
        return Array(bytes[next...])
    }

    private func tellOfLostLines() {
        let lost = StandardError.takeLost()
        guard lost > 0 else { return }
        let line =
            "\(Timestamp.now()) warning the log goes on (\(lost) lines before this one were lost)\n"
        if !Self.isWritten(Array(line.utf8)[...]) { StandardError.noteLost(lost) }
    }

    private static func writeWhole(_ lines: ArraySlice<UInt8>) {
        if !isWritten(lines) { StandardError.noteLost(lines.count { $0 == StandardError.newline }) }
    }

    /// Waits for as long as it takes. False where it can't be written at all, as on a full disk.
    private static func isWritten(_ lines: ArraySlice<UInt8>) -> Bool {
        var rest = lines
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0 && errno == EAGAIN {
                _ = wait(for: STDERR_FILENO, POLLOUT, -1)
            } else if count == 0 || errno != EINTR {
                return false
            }
        }
        return true
    }

    private static func wait(for descriptor: Int32, _ events: Int32, _ milliseconds: Int32) -> Bool {
        var state = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        return poll(&state, 1, milliseconds) > 0
    }
}

enum StandardOutput {
    static func write(_ text: String) {
        let bytes = Array(text.utf8) + [UInt8(ascii: "\n")]
        _ = Glibc.write(STDOUT_FILENO, bytes, bytes.count)
    }
}
