/// The bytes relayed in each second of the last 15 minutes, and the number of sessions.
///
/// Fed with totals about once a second. A missed second gets its share of the bytes counted since.
struct History: Sendable {
    static let capacity = 900

    private struct Totals {
        var sent: UInt64
        var received: UInt64
    }

    struct Sample: Equatable, Sendable {
        /// Payload in bytes: to targets and to clients.
        var sent: UInt64 = 0
        var received: UInt64 = 0
        /// At the end of the second.
        var sessions = 0
    }

    /// A ring: the sample of a second is at its number modulo the capacity.
    private var samples = [Sample](repeating: Sample(), count: capacity)
    /// The newest second; `nil` before the first.
    private var newest: Int?
    private var count = 0
    private var totals = Totals(sent: 0, received: 0)

    init() {}

    /// - Parameters:
    ///   - second: on a clock that doesn't step back. A second that was already noted changes nothing: bytes
    ///     counted since then belongs to the next one.
    ///   - sent: since the start of the server, as `received`.
    mutating func note(second: Int, sent: UInt64, received: UInt64, sessions: Int) {
        guard let last = newest else {
            append(second, Sample(sessions: sessions))
            totals = Totals(sent: sent, received: received)
            return
        }
        guard second > last else { return }
        let missed = UInt64(second - last)
        let share = Totals(sent: sent &- totals.sent, received: received &- totals.received)
        totals = Totals(sent: sent, received: received)
        if missed > Self.capacity { count = 0 }
        for next in max(last + 1, second - Self.capacity + 1)...second {
            append(
                next,
                Sample(sent: share.sent / missed, received: share.received / missed, sessions: sessions)
            )
        }
        // The remainder of the division, so that no byte is lost.
        samples[second % Self.capacity].sent += share.sent % missed
        samples[second % Self.capacity].received += share.received % missed
    }

    private mutating func append(_ second: Int, _ sample: Sample) {
        samples[second % Self.capacity] = sample
        newest = second
        count = min(count + 1, Self.capacity)
    }

    /// The seconds after `since`, the oldest first.
    ///
    /// - Parameter since: any number; `nil` asks for all.
    /// - Returns: the first second, and the samples from there on. If there are none, the second is the next one.
    func samples(since: Int?) -> (from: Int, [Sample]) {
        guard let newest else { return (0, []) }
        let oldest = newest - count + 1
        let from = min(newest + 1, max(oldest, (since ?? .min).addingReportingOverflow(1).partialValue))
        // The sum overflowed: no sample is that new.
        guard since != .max else { return (newest + 1, []) }
        return (from, (from..<(newest + 1)).map { samples[$0 % Self.capacity] })
    }
}
