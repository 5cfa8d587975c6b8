/// Decides which sessions a drain ends, and when: an even share each second, the longest idle first. Pure.
struct DrainPlan {
    /// Time from one share to the next.
    let step: Duration
    private let time: Duration

    init(_ time: Duration) {
        self.time = time
        step = max(.milliseconds(20), min(.seconds(1), time / 8))
    }

    /// - Parameters:
    ///   - sessions: all current sessions, each with the time since its last byte.
    ///   - passed: time since the start of the drain.
    /// - Returns: the sessions to end now.
    func next(of sessions: [(id: UInt64, idle: Duration)], _ passed: Duration) -> [UInt64] {
        let steps = passed >= time ? 0 : Int((time - passed) / step)
        // At the start of the drain no session is ended, unless the drain has no time at all.
        let share = passed < step && steps > 0 ? 0 : sessions.count / (steps + 1)
        return sessions.sorted { $0.idle > $1.idle }.prefix(share).map(\.id)
    }
}
