/// The bytes that a group of sessions has moved.
struct BusySum {
    var sessions = 0
    /// Payload in bytes, to the targets and to the clients.
    var sent: UInt64 = 0
    var received: UInt64 = 0

    fileprivate func isBusier(than other: BusySum) -> Bool {
        let (own, others) = (sent &+ received, other.sent &+ other.received)
        return own == others ? sessions > other.sessions : own > others
    }

    fileprivate mutating func add(_ other: BusySum) {
        sessions += other.sessions
        sent &+= other.sent
        received &+= other.received
    }
}

/// Sums up sessions by a key that they share, and finds the few keys that move the most.
struct Busiest<Key: Hashable> {
    private var sums: [Key: BusySum] = [:]

    /// - Parameter count: the expected number of keys.
    init(expecting count: Int = 0) {
        sums.reserveCapacity(count)
    }

    /// Adds a session.
    mutating func add(_ key: Key, sent: UInt64, received: UInt64) {
        add(key, BusySum(sessions: 1, sent: sent, received: received))
    }

    mutating func add(_ key: Key, _ sum: BusySum) {
        sums[key, default: BusySum()].add(sum)
    }

    /// The busiest first. Takes time in proportion to the number of keys.
    func top(_ count: Int) -> [(key: Key, sum: BusySum)] {
        var top: [(key: Key, sum: BusySum)] = []
        for (key, sum) in sums {
            if top.count == count, let least = top.last, !sum.isBusier(than: least.sum) { continue }
            if top.count == count { top.removeLast() }
            let place = top.firstIndex { sum.isBusier(than: $0.sum) } ?? top.endIndex
            top.insert((key, sum), at: place)
        }
        return top
    }
}
