import TestSupport
import Testing

@testable import SOCKS5Server

@Suite struct HistogramTests {
    @Test func eachObservationIsInEachBucketThatItDoesNotExceed() throws {
        for bounds in [Histogram.Bounds.stage, .session] {
            let histogram = Histogram(bounds)
            var random = SeededGenerator(seed: 7)
            var all = bounds.milliseconds + bounds.milliseconds.map { $0 + 1 } + [0, .max >> 20]
            for _ in 0..<1000 { all.append(1 << UInt64.random(in: 0..<40, using: &random)) }
            for value in all { histogram.observe(milliseconds: value) }
            let snapshot = Histogram.sum([histogram], bounds)
            #expect(snapshot.count == UInt64(all.count))
            #expect(snapshot.sum == Double(all.reduce(0, +)) / 1000)
            #expect(snapshot.buckets.count == bounds.milliseconds.count)
            for (bucket, bound) in zip(snapshot.buckets, bounds.milliseconds) {
                #expect(bucket.bound == Double(bound) / 1000)
                #expect(bucket.count == UInt64(all.count { $0 <= bound }), "\(bound)")
            }
        }
    }

    @Test func quantilesLieInTheBucketOfTheirObservation() throws {
        let histogram = Histogram(.stage)
        #expect(Histogram.sum([histogram], .stage).quantile(0.5) == nil)
        for value in 1...100 as ClosedRange<UInt64> { histogram.observe(milliseconds: value) }
        let snapshot = Histogram.sum([histogram], .stage)
        let median = try #require(snapshot.quantile(0.5))
        #expect((0.049...0.051).contains(median), "\(median)")
        let high = try #require(snapshot.quantile(0.99))
        #expect((0.098...0.1).contains(high), "\(high)")
        #expect(snapshot.quantile(1) == 0.1 && snapshot.quantile(2) == 0.1 && snapshot.quantile(-1) == 0)
        histogram.observe(milliseconds: 1 << 40)
        #expect(Histogram.sum([histogram], .stage).quantile(1) == 60)
    }

    @Test func workersAreSummedUp() {
        let workers = (0..<3).map { _ in Histogram(.stage) }
        for worker in workers { worker.observe(milliseconds: 7) }
        let sum = Histogram.sum(workers, .stage)
        #expect(sum.count == 3 && sum.sum == 0.021)
    }
}
