import Tables
import TestSupport
import Testing

@testable import SOCKS5Server

@Suite struct FairQueueTests {
    private typealias Queue = FairQueue<Int, Int>

    /// All remaining values, in the order in which they are taken.
    private static func takeAll(_ queue: inout Queue) -> [Int] {
        var values: [Int] = []
        while let (_, value) = queue.takeNext() { values.append(value) }
        return values
    }

    @Test func sourcesTakeTurnsAndEachKeepsItsOrder() {
        var queue = Queue(limit: 100, limitPerSource: 100)
        for value in [10, 11, 12, 20, 30, 31] { #expect(queue.append(value, for: value / 10) != nil) }
        #expect(queue.count == 6)
        #expect(Self.takeAll(&queue) == [10, 20, 30, 11, 31, 12])
        #expect(queue.count == 0)
    }

    @Test func tooManyOfASourceOrOfAllAreTurnedAway() {
        var queue = Queue(limit: 5, limitPerSource: 3)
        let first = (10..<20).map { queue.append($0, for: 1) != nil }
        #expect(first.count { $0 } == 3)
        let others = (2...9).map { queue.append($0 * 10, for: $0) != nil }
        #expect(others.count { $0 } == 2)
        _ = queue.takeNext()
        #expect(queue.append(90, for: 9) != nil, "there is room again")
    }

    @Test func aValueThatIsRemovedIsNotTakenAndAnEmptySourceHasNoTurn() throws {
        var queue = Queue(limit: 100, limitPerSource: 100)
        let places = [10, 11, 20, 30].compactMap { queue.append($0, for: $0 / 10) }
        try #require(places.count == 4)
        queue.remove(places[0])
        queue.remove(places[2])
        #expect(queue.count == 2)
        #expect(Self.takeAll(&queue) == [11, 30])
    }

    @Test func aSourceThatMayNotGoMissesItsTurn() {
        var queue = Queue(limit: 100, limitPerSource: 100)
        for value in [10, 11, 20, 30] { _ = queue.append(value, for: value / 10) }
        let next = queue.takeNext { $0 != 1 }
        #expect(next?.source == 2 && next?.value == 20)
        #expect(queue.takeNext { _ in false } == nil)
        #expect(queue.count == 3)
    }

    /// Compared with a model that keeps lists.
    @Test func theQueueFollowsAModel() {
        var random = SeededGenerator(seed: 970)
        var queue = Queue(limit: 20, limitPerSource: 6)
        var lines: [(source: Int, values: [Int])] = []
        var places: [Int: Queue.Place] = [:]
        for value in 0..<100_000 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0..<2:
                let source = Int.random(in: 0..<6, using: &random)
                let index = lines.firstIndex { $0.source == source }
                let length = index.map { lines[$0].values.count } ?? 0
                let place = queue.append(value, for: source)
                #expect((place != nil) == (places.count < 20 && length < 6))
                guard let place else { continue }
                places[value] = place
                if let index { lines[index].values.append(value) } else { lines.append((source, [value])) }
            case 2:
                guard let value = places.keys.sorted().randomElement(using: &random),
                    let place = places.removeValue(forKey: value)
                else { continue }
                queue.remove(place)
                for index in lines.indices { lines[index].values.removeAll { $0 == value } }
                lines.removeAll { $0.values.isEmpty }
            default:
                let denied = Int.random(in: 0..<12, using: &random)
                var expected: Int?
                for _ in lines.indices where expected == nil {
                    var line = lines.removeFirst()
                    if line.source != denied { expected = line.values.removeFirst() }
                    if !line.values.isEmpty { lines.append(line) }
                }
                #expect(queue.takeNext { $0 != denied }?.value == expected)
                if let expected { places[expected] = nil }
            }
            #expect(queue.count == places.count)
        }
    }
}

@Suite struct RecentTableTests {
    /// Compared with a model that keeps the keys in the order of their use.
    @Test(arguments: [1, 2, 8, 100]) func theTableHoldsTheKeysThatWereUsedLast(_ maximum: Int) {
        var random = SeededGenerator(seed: 44)
        var table = RecentTable<Int, Int>(maximum: maximum)
        var recent: [(key: Int, value: Int)] = []
        for step in 0..<20_000 {
            let key = Int.random(in: 0..<(3 * maximum), using: &random)
            let known = recent.firstIndex { $0.key == key }
            switch Int.random(in: 0..<8, using: &random) {
            case 0..<4:
                table[key] = step
                if let known { recent.remove(at: known) }
                recent.append((key, step))
                recent = recent.suffix(maximum)
            case 4..<6:
                #expect(table[key] == known.map { recent[$0].value })
                if let known { recent.append(recent.remove(at: known)) }
            case 6:
                #expect(table.peek(key) == known.map { recent[$0].value })
                #expect(table.first { $0 == recent.first?.value } == recent.first?.value)
            default:
                table[key] = nil
                if let known { recent.remove(at: known) }
            }
            #expect(table.count == recent.count)
        }
        for (key, value) in recent { #expect(table.peek(key) == value) }
    }
}
