internal import Locks
internal import UVLoop

/// Durations that one worker has observed, counted in buckets.
///
/// The buckets are fixed, and are the same as those for Prometheus. An observation is two relaxed stores and
/// allocates nothing. Written by the worker's thread alone, read by any.
final class Histogram: Sendable {
    /// The upper bounds of buckets, in milliseconds, ascending; one further bucket has no bound.
    struct Bounds: Sendable {
        /// For stages of a session, up to a minute.
        static let stage = Bounds([
            1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000,
        ])
        /// For whole sessions, up to a day.
        static let session = Bounds([
            10, 50, 100, 500, 1000, 5000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000,
        ])

        let milliseconds: [UInt64]

        private init(_ milliseconds: [UInt64]) {
            precondition(milliseconds.count < Histogram.most, "more buckets than there is room for")
            self.milliseconds = milliseconds
        }
    }

    private static let most = 16

    private let bounds: Bounds
    private let counts = InlineArray<16, Count> { _ in Count() }
    private let sum = Count()

    init(_ bounds: Bounds) {
        self.bounds = bounds
    }

    /// Call it on the worker's thread.
    func observe(milliseconds: UInt64) {
        var bucket = 0
        while bucket < bounds.milliseconds.count && milliseconds > bounds.milliseconds[bucket] { bucket += 1 }
        counts[bucket].add()
        sum.add(milliseconds)
    }

    /// Any thread.
    func add(to other: inout HistogramSnapshot) {
        for bucket in 0...bounds.milliseconds.count { other.add(counts[bucket].value, bucket) }
        other.add(milliseconds: sum.value)
    }

    /// The sum of several workers' histograms.
    static func sum(_ all: [Histogram], _ bounds: Bounds) -> HistogramSnapshot {
        all.reduce(into: HistogramSnapshot(boundsInMilliseconds: bounds.milliseconds)) { $1.add(to: &$0) }
    }
}

/// The state of a histogram of durations at one moment.
public struct HistogramSnapshot: Sendable {
    private let bounds: [UInt64]
    private var counts: [UInt64]
    private var milliseconds: UInt64 = 0

    init(boundsInMilliseconds bounds: [UInt64]) {
        self.bounds = bounds
        counts = [UInt64](repeating: 0, count: bounds.count + 1)
    }

    init(_ turns: TurnTimes) {
        self.init(boundsInMilliseconds: TurnTimes.bounds)
        (counts, milliseconds) = (turns.counts, turns.milliseconds)
    }

    mutating func observe(milliseconds: UInt64) {
        add(1, bounds.firstIndex { milliseconds <= $0 } ?? bounds.count)
        add(milliseconds: milliseconds)
    }

    mutating func add(_ count: UInt64, _ bucket: Int) { counts[bucket] += count }
    mutating func add(milliseconds: UInt64) { self.milliseconds += milliseconds }

    /// The upper bounds in seconds, ascending, each with the number of observations that don't exceed it.
    public var buckets: [(bound: Double, count: UInt64)] {
        var sum: UInt64 = 0
        return zip(bounds, counts).map { bound, count in
            sum += count
            return (Double(bound) / 1000, sum)
        }
    }

    /// The number of all observations, including those above the last bound.
    public var count: UInt64 { counts.reduce(0, +) }

    /// Sum of all observations, in seconds.
    public var sum: Double { Double(milliseconds) / 1000 }

    /// A quantile in seconds, with the observations of a bucket taken as evenly spread. Above the last bound
    /// it is that bound. `nil` if nothing was observed.
    ///
    /// - Parameter part: from 0 to 1, such as 0.99.
    public func quantile(_ part: Double) -> Double? {
        let wanted = Double(count) * min(max(part, 0), 1)
        guard count > 0 else { return nil }
        var (below, lower) = (0.0, 0.0)
        for (bound, counted) in zip(bounds, counts) {
            let upper = Double(bound) / 1000
            if counted > 0 && below + Double(counted) >= wanted {
                return lower + (upper - lower) * max(0, wanted - below) / Double(counted)
            }
            below += Double(counted)
            lower = upper
        }
        return lower
    }
}
