/// Which sessions a drain ends when: an even share each second, the longest idle first. Pure.
struct DrainPlan {
    /// From one share to the next.
    let step: Duration
    private let time: Duration

    init(_ time: Duration) {
        self.time = time
        step = max(.milliseconds(20), min(.seconds(1), time / 8))
    }

    /// - Parameters:
    ///   - sessions: all of this moment, with the time since the last byte of each.
    ///   - passed: since the drain has begun.
    /// - Returns: those to end now.
    func next(of sessions: [(id: UInt64, idle: Duration)], _ passed: Duration) -> [UInt64] {
        let steps = passed >= time ? 0 : Int((time - passed) / step)
        // None is ended when the drain begins, unless that is its end too.
        let share = passed < step && steps > 0 ? 0 : sessions.count / (steps + 1)
        return sessions.sorted { $0.idle > $1.idle }.prefix(share).map(\.id)
    }
}
