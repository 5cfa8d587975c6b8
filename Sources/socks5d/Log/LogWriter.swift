internal import CProcess
internal import Glibc
internal import Locks
internal import SOCKS5Server
internal import Text

/// Writes the lines of all streams: a single thread that never waits for one sink.
///
/// If a terminal, pipe or file accepts nothing for a while, lines are lost but the service continues: adding a line
/// never waits. Lost lines are counted, and their number is reported.
final class LogWriter: Sendable {
    /// `nil` if the system denies a pipe or a thread.
    static let shared = LogWriter()

    static let newline = UInt8(ascii: "\n")
    /// How long lines are collected before they are written together, in milliseconds.
    private static let nap: Int32 = 10
    private static let millisecondsToTake: Int32 = 1000
    /// The capacity of a pipe that is used only for waking, in bytes.
    private static let capacity = 4096

    private struct Wishes {
        var streams: [LogStream] = []
        var isReopening = false
        var isFlushing = false
    }

    private let wishes = Guarded(Wishes())
    /// Readable while there is something to do.
    private let exit: Int32
    private let entry: Int32
    /// Readable when everything that was waiting at a ``flush()`` is written.
    private let answer: Int32
    private let answering: Int32

    private init?() {
        var (exit, entry, answer, answering) = (Int32(-1), Int32(-1), Int32(-1), Int32(-1))
        let isOpen =
            process_pipe(&exit, &entry, Self.capacity) == 0
            && process_pipe(&answer, &answering, Self.capacity) == 0
        (self.exit, self.entry, self.answer, self.answering) = (exit, entry, answer, answering)
        do {
            guard isOpen else { throw Failure.runtime("") }
            try ProxyServer.inThread(named: "socks5d-log") { [self] in run() }
        } catch {
            for descriptor in [exit, entry, answer, answering] where descriptor >= 0 { close(descriptor) }
            return nil
        }
    }

    // MARK: - Any thread

    /// Opens a stream of lines. A file is opened soon, so that it exists from the start; other places are opened with
    /// the first line.
    func open(_ place: LogPlace, capacity: Int, tellsOfLosses: Bool) -> LogStream {
        let stream = LogStream(place, capacity: capacity, tellsOfLosses: tellsOfLosses) { [self] in wake() }
        wishes.withLock { $0.streams.append(stream) }
        if case .file = place { wake() }
        return stream
    }

    /// Opens files again, since the old ones were renamed.
    func reopen() {
        wishes.withLock { $0.isReopening = true }
        wake()
    }

    /// Waits until all lines added before are written, at most for a second: the rest is lost.
    func flush() {
        let isNeeded = wishes.withLock { wishes in
            wishes.isFlushing = wishes.streams.contains { !$0.isEmpty }
            return wishes.isFlushing
        }
        guard isNeeded else { return }
        wake()
        var state = pollfd(fd: answer, events: Int16(POLLIN), revents: 0)
        _ = poll(&state, 1, Self.millisecondsToTake)
    }

    /// Lines of all streams lost since the start.
    var dropped: Int { wishes.withLock { $0.streams }.reduce(0) { $0 + $1.dropped } }

    private func wake() {
        _ = [1 as UInt8].withUnsafeBytes { write(entry, $0.baseAddress, 1) }
    }

    // MARK: - The thread

    private func run() -> Never {
        var sinks: [LogSink] = []
        while true {
            awaitWork(sinks.compactMap(\.waitsFor))
            let streams = wishes.withLock { $0.streams }
            for stream in streams.dropFirst(sinks.count) { sinks.append(LogSink(stream)) }
            if takeReopening() { for sink in sinks { sink.reopen() } }
            for sink in sinks { sink.write() }
            answerFlush()
        }
    }

    private func takeReopening() -> Bool {
        wishes.withLock { wishes in
            defer { wishes.isReopening = false }
            return wishes.isReopening
        }
    }

    /// Waits for lines, or until one of the sinks is writable again.
    private func awaitWork(_ sinks: [Int32]) {
        var states = ([exit] + sinks).enumerated().map {
            pollfd(fd: $1, events: Int16($0 == 0 ? POLLIN : POLLOUT), revents: 0)
        }
        _ = poll(&states, nfds_t(states.count), -1)
        guard states[0].revents != 0 else { return }
        if !wishes.withLock({ $0.isFlushing }) { _ = poll(nil, 0, Self.nap) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        while read(exit, &bytes, bytes.count) == bytes.count {}
    }

    private func answerFlush() {
        let isAnswered = wishes.withLock { wishes in
            guard wishes.isFlushing, wishes.streams.allSatisfy(\.isEmpty) else { return false }
            wishes.isFlushing = false
            return true
        }
        if isAnswered { _ = [1 as UInt8].withUnsafeBytes { write(answering, $0.baseAddress, 1) } }
    }
}
