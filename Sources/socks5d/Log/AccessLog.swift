internal import Locks
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

/// Writes a line for each session when it has ended; if configured, also when it begins and while it runs.
final class AccessLog: SessionObserver {
    /// The bytes that may wait to be written; further lines are dropped. This is about a second at 10,000 sessions per
    /// second.
    static let capacity = 8 << 20
    /// Most lines are shorter than this.
    private static let usualLine = 900

    private enum Event: String {
        case started = "session_started"
        case progress = "session_progress"
        case ended = "session_ended"
    }

    private let stream: LogStream
    private let clock = Guarded(TimestampWriter())
    private let format: LogFormat
    private let hasStarts: Bool

    /// - Returns: `nil` if the system denies a thread.
    init?(_ settings: AccessLogSettings) {
        guard let place = settings.file,
            let stream = LogWriter.shared?.open(place, capacity: Self.capacity, tellsOfLosses: false)
        else { return nil }
        self.stream = stream
        format = settings.format
        hasStarts = settings.hasStarts
    }

    func observe(_ event: SessionEvent) {
        switch event {
        case .began(let session): if hasStarts { stream.add(line(session, .started)) }
        // Port scans and health checks aren't logged.
        case .ended(let session):
            if session.outcome != .probe { stream.add(line(session, .ended)) }
        }
    }

    func tell(of sessions: [SessionInfo], runningFor interval: Duration) {
        for session in sessions where session.duration >= interval {
            stream.add(line(session, .progress))
        }
    }

    private func line(_ session: SessionInfo, _ event: Event) -> [UInt8] {
        var line = LogLine(format, reserving: Self.usualLine)
        line.time(clock.withLock { $0.text(of: session.moment) })
        line.head("event", event.rawValue)
        session.write(.line, to: &line)
        return line.ended()
    }
}

extension LogLine: SessionFieldWriter {}
