internal import Locks
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

/// A line for each session, when it has ended; when it begins, and while it runs, too if asked to.
final class AccessLog: SessionObserver {
    /// Beyond it lines are dropped: so much gathers within about a second, at 10,000 sessions a second.
    static let capacity = 8 << 20
    /// Most lines are shorter.
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

    /// - Returns: `nil` where the system denies a thread.
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
        // Port scans and health checks are no sessions to anyone.
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
        line.field("id", session.id)
        line.field("listener", session.listener)
        line.field("worker", UInt64(session.worker))
        line.client(session.client)
        line.host("balancer_ip", session.balancer)
        line.field("user", session.user)
        line.field("protocol", session.protocol?.rawValue)
        line.field("method", session.method?.rawValue)
        line.field("command", session.command?.word)
        line.target(session.target)
        line.field("address", session.address)
        line.field("bound", session.bound)
        line.field("reply", session.reply.map { UInt64($0.rawValue) })
        line.field("outcome", session.outcome?.rawValue)
        line.field("stage", session.stage.rawValue)
        line.field("rule", session.rule)
        line.field("reason", session.reason)
        line.times(session)
        line.field("ended_by", session.endedBy?.rawValue)
        line.field("errno", session.error)
        if session.dialAttempts > 0 { line.field("dial_attempts", UInt64(session.dialAttempts)) }
        line.field("would_deny", session.wouldDeny)
        line.field("route", session.route)
        line.field("parent", session.parent)
        line.traffic(session)
        return line.ended()
    }
}

extension LogLine {
    fileprivate mutating func client(_ client: Peer) {
        host("client_ip", client)
        if case .ip(_, let port) = client { field("client_port", UInt64(port)) }
    }

    fileprivate mutating func host(_ name: StaticString, _ peer: Peer?) {
        switch peer {
        case nil: break
        case .ip(let address, _)?: field(name, address)
        case .local?: field(name, peer?.host)
        }
    }

    fileprivate mutating func target(_ target: Target?) {
        guard let target else { return }
        switch target {
        case .address(let address, _): field("destination", address)
        case .name(let name, _): field("destination", name.description)
        }
        field("destination_port", UInt64(target.port))
    }

    fileprivate mutating func times(_ session: SessionInfo) {
        let times = session.times
        field("handshake_ms", times.handshake)
        field("login_ms", times.login)
        field("lookup_wait_ms", times.lookupWait)
        field("lookup_ms", times.lookup)
        field("dial_ms", times.dial)
        field("ready_ms", times.ready)
        field("duration_ms", session.milliseconds)
        field("idle_ms", times.idle)
    }

    fileprivate mutating func traffic(_ session: SessionInfo) {
        guard session.stage == .relay else { return }
        field("bytes_sent", session.bytesClientToTarget)
        field("bytes_received", session.bytesTargetToClient)
        guard let datagrams = session.datagrams else { return }
        field("datagrams_sent", datagrams.clientToTarget)
        field("datagrams_received", datagrams.targetToClient)
        counts("datagrams_dropped", DatagramDrop.allCases.lazy.map { ($0.word, datagrams[$0]) })
    }
}
