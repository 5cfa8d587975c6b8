/// A token bucket, stored as the time at which everything taken from it will have been earned.
///
/// Taking costs time. If there isn't enough, the caller learns when its portion may be used; waiting callers are served
/// in the order of their requests. The bucket doesn't know the rate: the caller states the price, so that a limit may
/// change while the bucket stays. Pure; times are nanoseconds on the loops' clock, which is the same on all threads.
package struct TokenBucket {
    /// When everything taken is earned.
    private var earned: UInt64 = 0

    package init() {}

    /// Whether something can be taken without waiting.
    package func isReady(_ now: UInt64) -> Bool { earned < now }

    /// Takes a portion that costs this much time.
    ///
    /// - Parameter credit: the most unused time that is made up for.
    /// - Returns: when the portion may be used; a time in the past if it may be used now.
    package mutating func take(_ cost: UInt64, now: UInt64, credit: UInt64) -> UInt64 {
        let start = max(earned, now > credit ? now - credit : 0)
        earned = start &+ cost
        return start
    }

    /// Returns a portion that wasn't used.
    package mutating func giveBack(_ cost: UInt64) {
        earned -= min(earned, cost)
    }
}
