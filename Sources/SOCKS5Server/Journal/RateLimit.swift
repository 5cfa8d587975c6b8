/// Passes one event per second, with the number of events since the last one that passed.
package struct RateLimit {
    private var last: UInt64?
    private var events = 0

    package init() {}

    /// - Parameter now: milliseconds on the loop's clock. Another worker's clock may be a turn ahead.
    package mutating func count(now: UInt64) -> Int? {
        events += 1
        if let last, now < last &+ 1000 { return nil }
        last = now
        defer { events = 0 }
        return events
    }
}
