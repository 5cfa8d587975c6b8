/// The usage of a quota in the current period, and in the one before.
///
/// The period follows the wall clock, which may step. If the clock steps back, the usage of the earlier period is still
/// known, so that no quota is granted twice. If it steps back before all known periods, the earliest of them continues.
/// So a clock that was far ahead for a while does no harm, nor does one that starts in 1970. Pure.
package struct QuotaUsage: Sendable {
    package struct Record: Hashable, Sendable {
        /// The first day of the period.
        let first: UTCDay
        fileprivate(set) var bytes: Int

        init(first: UTCDay, bytes: Int) {
            self.first = first
            self.bytes = min(bytes, QuotaUsage.maximum)
        }
    }

    /// The current period.
    private(set) var active: Record?
    private var other: Record?
    /// The day and period for which ``active`` is known to be right.
    private var checked: (day: UTCDay, period: Quota.Period)?

    /// More than any real usage, and far from an overflow.
    package static let maximum = 1 << 62
    private static let longestPeriod = 31

    /// The records worth keeping.
    package var records: [Record] { [active, other].compactMap(\.self).filter { $0.bytes > 0 } }

    /// The record of the last period with usage.
    var latest: Record? { records.max { $0.first < $1.first } }

    package init() {}

    /// - Parameter records: at most two, with different days.
    package init(_ records: [Record]) {
        active = records.first
        other = records.dropFirst().first
    }

    /// Adds some bytes to the usage.
    ///
    /// - Returns: whether the quota is used up.
    package mutating func add(_ bytes: Int, _ quota: Quota, _ today: UTCDay) -> Bool {
        let sum = min(used(quota.period, today) + bytes, Self.maximum)
        active?.bytes = sum
        return sum >= quota.bytes
    }

    package mutating func isUsedUp(_ quota: Quota, _ today: UTCDay) -> Bool {
        used(quota.period, today) >= quota.bytes
    }

    /// Whether the usage no longer matters, for any period.
    package func isOver(_ today: UTCDay) -> Bool {
        records.allSatisfy { $0.first.advanced(by: Self.longestPeriod) <= today }
    }

    /// Makes the period of the day the active one.
    private mutating func used(_ period: Quota.Period, _ today: UTCDay) -> Int {
        if let active, let checked, checked == (today, period) { return active.bytes }
        checked = (today, period)
        let first = period.first(of: today)
        let known = [active, other].compactMap(\.self).sorted { $0.first < $1.first }
        if let latest = known.last(where: { $0.first <= first }) {
            let isCurrent = latest.first == first
            active = isCurrent ? latest : Record(first: first, bytes: 0)
            other = isCurrent ? known.first { $0 != latest } : latest
        } else {
            active = known.first ?? Record(first: first, bytes: 0)
            other = known.dropFirst().first
        }
        return active?.bytes ?? 0
    }
}
