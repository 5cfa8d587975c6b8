import Testing

@testable import SOCKS5Admin

@Suite struct HistoryTests {
    @Test func theFirstSecondHasNoTraffic() {
        var history = History()
        history.note(second: 100, sent: 5000, received: 7000, sessions: 3)
        #expect(history.samples(since: nil).from == 100)
        #expect(history.samples(since: nil).1 == [History.Sample(sent: 0, received: 0, sessions: 3)])
    }

    @Test func eachSecondHasItsOwnCounts() {
        var history = History()
        for second in 0..<5 {
            history.note(
                second: 100 + second,
                sent: UInt64(second * 10),
                received: UInt64(second * 20),
                sessions: second
            )
        }
        let (from, samples) = history.samples(since: 102)
        #expect(from == 103)
        #expect(samples.map(\.sent) == [10, 10] && samples.map(\.received) == [20, 20])
        #expect(samples.map(\.sessions) == [3, 4])
    }

    @Test func missedSecondsShareTheCountsAndNoByteIsLost() {
        var history = History()
        history.note(second: 10, sent: 0, received: 0, sessions: 1)
        history.note(second: 13, sent: 100, received: 2, sessions: 2)
        let samples = history.samples(since: 10).1
        #expect(samples.map(\.sent) == [33, 33, 34] && samples.map(\.received) == [0, 0, 2])
        #expect(samples.map(\.sessions) == [2, 2, 2])
    }

    @Test func aSecondThatWasNotedChangesNothing() {
        var history = History()
        history.note(second: 10, sent: 0, received: 0, sessions: 1)
        history.note(second: 11, sent: 5, received: 5, sessions: 1)
        history.note(second: 11, sent: 9, received: 9, sessions: 8)
        history.note(second: 9, sent: 9, received: 9, sessions: 8)
        history.note(second: 12, sent: 10, received: 10, sessions: 1)
        #expect(history.samples(since: 10).1.map(\.sent) == [5, 5])
    }

    @Test func itHolds15MinutesAndForgetsTheOldest() {
        var history = History()
        for second in 0..<2000 {
            history.note(second: second, sent: UInt64(second), received: 0, sessions: second)
        }
        let (from, samples) = history.samples(since: nil)
        #expect(from == 1100 && samples.count == 900)
        #expect(samples.map(\.sessions) == Array(1100..<2000))
    }

    @Test(arguments: [899, 900, 901, 5000, 1_000_000_000])
    func aGapAsLongAsTheHistoryIsFilled(_ gap: Int) {
        var history = History()
        history.note(second: 10, sent: 0, received: 0, sessions: 1)
        history.note(second: 11, sent: 0, received: 0, sessions: 1)
        history.note(second: 11 + gap, sent: UInt64(gap) * 3, received: 0, sessions: 2)
        let (from, samples) = history.samples(since: nil)
        #expect(samples.count == 900 && from == 11 + gap - 899)
        #expect(samples.suffix(898).allSatisfy { $0.sent == 3 && $0.sessions == 2 })
    }

    @Test(arguments: [Int.min, -1, 0, 99, 100, 101, 104, 105, 1_000_000, .max - 1, .max])
    func anyNumberMayBeAskedFor(_ since: Int) {
        var history = History()
        #expect(history.samples(since: since).1.isEmpty)
        for second in 100..<105 { history.note(second: second, sent: 0, received: 0, sessions: second) }
        let (from, samples) = history.samples(since: since)
        #expect(samples.map(\.sessions) == (100..<105).filter { $0 > since })
        #expect(from == (samples.first?.sessions ?? 105))
    }
}
