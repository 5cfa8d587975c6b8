/// Decides when a worker ends the sessions that have reached the longest duration, see
/// ``Configuration/Timeouts/session``.
///
/// All sessions are checked when the oldest one is due, and not again within a second. That costs next to nothing for
/// any number of sessions, and nothing at all without a limit.
struct LongestTime {
    /// In milliseconds; `nil` for no limit.
    let limit: UInt64?
    /// The next check, in milliseconds on the loop's clock; `nil` if there is no session.
    private(set) var look: UInt64?

    init(_ limit: Duration?) {
        self.limit = limit?.milliseconds
    }

    /// - Returns: the next check, if it has changed.
    mutating func sessionDidBegin(_ began: UInt64) -> UInt64? {
        guard let limit, look == nil else { return nil }
        look = began &+ limit
        return look
    }

    func isOver(_ began: UInt64, now: UInt64) -> Bool {
        guard let limit else { return false }
        return began &+ limit <= now
    }

    /// All sessions were checked.
    ///
    /// - Parameter oldest: when the oldest remaining session began; `nil` if none remains.
    mutating func didLook(oldest: UInt64?, now: UInt64) {
        guard let limit, let oldest else {
            look = nil
            return
        }
        look = max(oldest &+ limit, now &+ min(1000, limit))
    }
}
