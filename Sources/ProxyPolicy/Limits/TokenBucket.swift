/// A token bucket, kept as the time at which all that was taken from it will have been earned.
///
/// What is taken costs time; who takes more than there is, is told from when on it is theirs, and those who wait get
/// it in the order of asking. It says nothing of how much a second that is: the price is the taker's, so that a limit
/// may change while the bucket goes on. Pure; times are nanoseconds on the loops' clock, the same in all threads.
package struct TokenBucket {
    /// When all that was taken is earned.
    private var earned: UInt64 = 0

    package init() {}

    /// Whether there is something to take at once.
    package func isReady(_ now: UInt64) -> Bool { earned < now }

    /// Takes what costs so much time.
    ///
    /// - Parameter credit: of how much unused time, at most, use is made.
    /// - Returns: from when on it may be used; in the past where it may be used now.
    package mutating func take(_ cost: UInt64, now: UInt64, credit: UInt64) -> UInt64 {
        let start = max(earned, now > credit ? now - credit : 0)
        earned = start &+ cost
        return start
    }

    /// What was taken wasn't used.
    package mutating func giveBack(_ cost: UInt64) {
        earned -= min(earned, cost)
    }
}
