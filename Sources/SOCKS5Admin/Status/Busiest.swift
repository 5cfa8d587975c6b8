/// Sums up sessions by something that they share, and finds the few that move the most.
struct Busiest<Key: Hashable> {
    struct Sum {
        var sessions = 0
        /// Payload in bytes, to the targets and to the clients.
        var sent: UInt64 = 0
        var received: UInt64 = 0

        fileprivate func isBusier(than other: Sum) -> Bool {
            let (own, others) = (sent &+ received, other.sent &+ other.received)
            return own == others ? sessions > other.sessions : own > others
        }
    }

    private var sums: [Key: Sum] = [:]

    mutating func add(_ key: Key, sent: UInt64, received: UInt64) {
        sums[key, default: Sum()].add(sent, received)
    }

    /// The busiest first. Takes time in proportion to the keys.
    func top(_ count: Int) -> [(key: Key, sum: Sum)] {
        var top: [(key: Key, sum: Sum)] = []
        for (key, sum) in sums {
            if top.count == count, let least = top.last, !sum.isBusier(than: least.sum) { continue }
            if top.count == count { top.removeLast() }
            let place = top.firstIndex { sum.isBusier(than: $0.sum) } ?? top.endIndex
            top.insert((key, sum), at: place)
        }
        return top
    }
}

extension Busiest.Sum {
    fileprivate mutating func add(_ sent: UInt64, _ received: UInt64) {
        sessions += 1
        self.sent &+= sent
        self.received &+= received
    }
}
