internal import Glibc
internal import Locks
internal import Logging
internal import Synchronization
internal import Text

/// The server's messages to people: lines on standard error or in a file, in the order of writing.
enum Messages {
    private struct Place {
        var stream: LogStream?
        var format = LogFormat.text
    }

    static let capacity = 1 << 20
    /// Longer lines are shortened.
    private static let longestLine = 4096
    private static let millisecondsToTake: Int32 = 1000

    private static let standardError = LogWriter.shared?.open(
        .standardError,
        capacity: capacity,
        tellsOfLosses: true
    )
    private static let place = Guarded(Place())
    private static let clock = Guarded(TimestampWriter())
    private static let isUsed = Atomic<Bool>(false)

    /// From now on log entries are written to this place.
    ///
    /// - Parameter file: `nil` for standard error.
    static func use(_ file: LogPlace?, _ format: LogFormat) {
        let stream = file.flatMap { LogWriter.shared?.open($0, capacity: capacity, tellsOfLosses: true) }
        place.withLock { $0 = Place(stream: stream, format: format) }
    }

    /// Writes a separate line to standard error, for the start, or for a program that can't start.
    static func write(_ line: String) {
        let before = standardError?.takeLosses() ?? 0
        let isTaken = add(Array((line + loss(before)).printable.utf8), to: standardError)
        if !isTaken { standardError?.giveBackLosses(before) }
    }

    /// A log entry: time, level, message, fields sorted by their names.
    static func say(_ level: Logger.Level, _ message: String, _ fields: [String: String] = [:]) {
        let (chosen, format) = place.withLock { ($0.stream, $0.format) }
        let stream = chosen ?? standardError
        let before = stream?.takeLosses() ?? 0
        var line = LogLine(format)
        line.time(clock.withLock { $0.text(of: .now()) })
        line.head("level", level.rawValue)
        line.head("message", message.printable)
        for (name, value) in fields.sorted(by: { $0.key < $1.key }) { line.field(named: name, value) }
        var bytes = line.ended().dropLast()
        if before > 0 {
            switch format {
            case .text: bytes += loss(before).utf8
            case .json: bytes = bytes.dropLast() + ",\"lines_lost\":\(before)}".utf8
            }
        }
        if !add(Array(bytes), to: stream) { stream?.giveBackLosses(before) }
    }

    /// - Returns: false if there is no room for that line either.
    static func sayThatTheLogGoesOn(behind lost: Int, in stream: LogStream) -> Bool {
        var line = LogLine(place.withLock { $0.format })
        line.time(clock.withLock { $0.text(of: .now()) })
        line.head("level", "warning")
        line.head("message", "the log goes on" + loss(lost))
        return stream.add(line.ended())
    }

    /// Waits until all messages written before are out, at most for a second: the rest is lost.
    static func flush() {
        if isUsed.load(ordering: .relaxed) { LogWriter.shared?.flush() }
    }

    private static func loss(_ lines: Int) -> String {
        lines > 0 ? " (\(lines) lines before this one were lost)" : ""
    }

    private static func add(_ line: [UInt8], to stream: LogStream?) -> Bool {
        isUsed.store(true, ordering: .relaxed)
        let bytes = line.prefix(longestLine - 1) + [LogWriter.newline]
        return stream?.add(Array(bytes)) ?? writeNow(Array(bytes))
    }

    /// Writes without the writer's thread.
    private static func writeNow(_ bytes: [UInt8]) -> Bool {
        var output = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        return poll(&output, 1, millisecondsToTake) == 1
            && Glibc.write(STDERR_FILENO, bytes, bytes.count) == bytes.count
    }
}

enum StandardOutput {
    static func write(_ text: String) {
        let bytes = Array(text.utf8) + [LogWriter.newline]
        _ = Glibc.write(STDOUT_FILENO, bytes, bytes.count)
    }
}
