/// When a worker ends the sessions that have lasted as long as they may, see ``Configuration/Timeouts/session``.
///
/// All sessions are looked at when the oldest one is due, and not again within a second: however many there are, this
/// costs next to nothing, and a session without such a limit costs nothing.
struct LongestTime {
    /// In milliseconds; `nil`: there is no limit.
    let limit: UInt64?
    /// When to look next, in milliseconds on the loop's clock; `nil`: there is no session.
    private(set) var look: UInt64?

    init(_ limit: Duration?) {
        self.limit = limit?.milliseconds
    }

    /// - Returns: when to look, if that is new.
    mutating func sessionDidBegin(_ began: UInt64) -> UInt64? {
        guard let limit, look == nil else { return nil }
        look = began &+ limit
        return look
    }

    func isOver(_ began: UInt64, now: UInt64) -> Bool {
        guard let limit else { return false }
        return began &+ limit <= now
    }

    /// Sessions have been looked at.
    ///
    /// - Parameter oldest: when the oldest of those that are left began; `nil`: none is left.
    mutating func didLook(oldest: UInt64?, now: UInt64) {
        guard let limit, let oldest else {
            look = nil
            return
        }
        look = max(oldest &+ limit, now &+ min(1000, limit))
    }
}
