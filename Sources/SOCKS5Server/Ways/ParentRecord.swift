internal import Locks
internal import Logging
internal import Text

/// The state of one parent for all workers: whether it works, how many sessions use it, and the results of connections
/// through it.
///
/// Any thread. Used when connections begin and end, never for their bytes.
final class ParentRecord: Sendable {
    fileprivate struct State {
        var health = ParentHealth()
        var random = SplitMix(seed: .random(in: 0...UInt64.max))
        /// The state in the log, and its time.
        var isSaidUp = true
        var said: UInt64?
        /// How often the state has changed since.
        var changes = 0
    }

    let name: String
    /// The parents on the way to it.
    let before: [ParentRecord]
    let counts: ParentCounts
    /// The settings of the parents on the way to it, then its own.
    private let terms: [Parent]
    private let state = Guarded(State())
    private let logger: Logger

    /// - Parameters:
    ///   - terms: the settings of the parents on the way to it, then its own.
    ///   - before: the records in the same order.
    init(_ terms: [Parent], before: [ParentRecord], _ counts: ParentCounts, _ logger: Logger) {
        self.terms = terms
        self.before = before
        self.counts = counts
        self.logger = logger
        name = terms[terms.count - 1].name
    }

    func holds(for terms: [Parent]) -> Bool { self.terms == terms }

    // MARK: - Whether it works. Times are milliseconds on the loops' clock.

    func standing(now: UInt64) -> ParentHealth.Standing { state.withLock { $0.health.standing(now: now) } }
    func isDown(now: UInt64) -> Bool { state.withLock { $0.health.isDown(now: now) } }
    var isUp: Bool { state.withLock { $0.health.isUp } }

    func setChecked(_ isChecked: Bool) { state.withLock { $0.health.isChecked = isChecked } }

    /// - Returns: the number of the trial, which the caller must end; `nil` if there is none to take.
    func beginTrial(now: UInt64) -> UInt64? { state.withLock { $0.health.beginTrial(now: now) } }
    func endTrial(_ number: UInt64) { state.withLock { $0.health.endTrial(number) } }

    /// - Parameter reason: the reason for the log.
    func failed(_ failure: ParentHealth.Failure, in trial: UInt64?, _ reason: String, now: UInt64) {
        let news = state.withLock { state in
            state.change(now) { state in
                let random = Double.random(in: 0..<1, using: &state.random)
                state.health.failed(failure, in: trial, now: now, random: random)
            }
        }
        tell(news, reason)
    }

    func succeeded(isProven: Bool, _ reason: String, now: UInt64) {
        let news = state.withLock { state in
            state.change(now) { $0.health.succeeded(isProven: isProven) }
        }
        tell(news, reason)
    }

    private func tell(_ news: (isUp: Bool, changes: Int)?, _ reason: String) {
        guard let news else { return }
        var metadata: Logger.Metadata = [
            "parent": "\(name.escapedForOneLine)", "reason": "\(reason.escapedForOneLine)",
        ]
        if news.changes > 1 { metadata["changes"] = "\(news.changes)" }
        logger.log(
            level: news.isUp ? .notice : .warning,
            "parent \(news.isUp ? "up" : "down")",
            metadata: metadata
        )
    }
}

extension ParentRecord.State {
    /// - Returns: the message for the log, at most once per second; a change that was skipped is reported with the next
    ///   one.
    fileprivate mutating func change(_ now: UInt64, _ body: (inout Self) -> Void) -> (
        isUp: Bool, changes: Int
    )? {
        let wasUp = health.isUp
        body(&self)
        let isUp = health.isUp
        if isUp != wasUp { changes += 1 }
        guard isUp != isSaidUp else { return nil }
        if let said, now < said + 1000 { return nil }
        defer { (isSaidUp, said, changes) = (isUp, now, 0) }
        return (isUp, changes)
    }
}

/// The result of an attempt to connect through a parent.
public enum ParentResult: Int, CaseIterable, Sendable {
    /// There was a connection to the target.
    case opened
    /// The parent has replied that there is none.
    case answered
    case unreachable, timedOut
    case loginRefused
    /// It has violated its protocol.
    case broken
    /// Its protocol doesn't support the request.
    case unsupported
    /// Abandoned, because the session had ended.
    case abandoned

    public var word: String {
        switch self {
        case .opened: "opened"
        case .answered: "answered"
        case .unreachable: "unreachable"
        case .timedOut: "timed_out"
        case .loginRefused: "login_refused"
        case .broken: "broken"
        case .unsupported: "unsupported"
        case .abandoned: "abandoned"
        }
    }
}

/// The counts of a parent by its name, which survive reloads. Any thread.
final class ParentCounts: Sendable {
    struct Numbers {
        /// Sessions that use it now.
        var sessions = 0
        var results = ParentResult.allCases.map { _ in UInt64(0) }
        /// From the first step to the connection, or to the parent's reply that there is none.
        var times = HistogramSnapshot(boundsInMilliseconds: Histogram.Bounds.stage.milliseconds)
    }

    private let current = Guarded(Numbers())

    var numbers: Numbers { current.withLock { $0 } }
    var sessions: Int { current.withLock { $0.sessions } }

    func sessionDidCome() { current.withLock { $0.sessions += 1 } }

    func sessionDidLeave() {
        current.withLock { numbers in
            precondition(numbers.sessions > 0, "more sessions have left a parent than came")
            numbers.sessions -= 1
        }
    }

    /// - Parameter milliseconds: its duration; `nil` if it says nothing about the parent's speed.
    func add(_ result: ParentResult, milliseconds: UInt64?) {
        current.withLock { numbers in
            numbers.results[result.rawValue] += 1
            if let milliseconds { numbers.times.observe(milliseconds: milliseconds) }
        }
    }
}
