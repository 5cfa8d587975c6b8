/// Values ordered by the time at which they are due: a binary heap, so that each of `n` values costs O(log n).
struct TimeHeap<Value> {
    private struct Entry {
        let time: UInt64
        let value: Value
    }

    private var entries: [Entry] = []

    /// The earliest time, in milliseconds on the loop's clock.
    var next: UInt64? { entries.first?.time }

    mutating func insert(_ value: Value, at time: UInt64) {
        var place = entries.count
        entries.append(Entry(time: time, value: value))
        while place > 0, entries[place].time < entries[(place - 1) / 2].time {
            entries.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    /// Takes a value that is due.
    mutating func takeReady(now: UInt64) -> Value? {
        guard let first = entries.first, first.time <= now else { return nil }
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var place = 0
        while true {
            var earliest = place
            for child in (2 * place + 1)...(2 * place + 2) {
                guard child < entries.count, entries[child].time < entries[earliest].time else { continue }
                earliest = child
            }
            if earliest == place { return first.value }
            entries.swapAt(place, earliest)
            place = earliest
        }
    }
}
