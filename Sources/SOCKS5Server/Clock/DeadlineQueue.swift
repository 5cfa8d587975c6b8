/// Identifies an owner in a ``DeadlineQueue`` from its insertion to its removal.
struct DeadlineSlot: Equatable {
    fileprivate let number: Int32

    /// Counted from 0, and never larger than the highest number of owners so far.
    var index: Int { Int(number) }
}

/// Owners with at most one deadline each.
///
/// All deadlines of a kind have the same duration, so a list in the order of setting is also in the order of expiry.
/// Everything here is O(1).
struct DeadlineQueue<Owner> {
    typealias Slot = DeadlineSlot

    private struct Entry {
        var owner: Owner?
        var deadline: Deadline?
        var expiry: UInt64 = 0
        /// Neighbours in the list of the deadline; `next` also links the free entries.
        var previous: Int32 = none
        var next: Int32 = none
    }

    private struct List {
        var first: Int32 = none
        var last: Int32 = none
    }

    private static var none: Int32 { -1 }

    private let durations: [UInt64]
    private var lists: [List]
    private var entries: [Entry] = []
    private var firstFree: Int32 = none
    private(set) var count = 0

    /// - Parameter duration: milliseconds, for each kind of deadline.
    init(duration: (Deadline) -> UInt64) {
        durations = Deadline.allCases.map(duration)
        lists = Deadline.allCases.map { _ in List() }
    }

    mutating func insert(_ owner: Owner) -> Slot {
        count += 1
        let index: Int32
        if firstFree == Self.none {
            index = Int32(entries.count)
            entries.append(Entry(owner: owner))
        } else {
            index = firstFree
            firstFree = entries[Int(index)].next
            entries[Int(index)] = Entry(owner: owner)
        }
        return Slot(number: index)
    }

    mutating func remove(_ slot: Slot) {
        clear(slot)
        count -= 1
        entries[slot.index] = Entry(next: firstFree)
        firstFree = slot.number
    }

    /// Sets the only deadline of a slot, counted from `now`.
    ///
    /// - Returns: when it expires.
    @discardableResult
    mutating func set(_ slot: Slot, _ deadline: Deadline, now: UInt64) -> UInt64 {
        let index = slot.index
        let expiry = now &+ durations[deadline.rawValue]
        if entries[index].deadline == deadline && entries[index].expiry == expiry { return expiry }
        clear(slot)
        let last = lists[deadline.rawValue].last
        entries[index].deadline = deadline
        entries[index].expiry = expiry
        entries[index].previous = last
        if last == Self.none {
            lists[deadline.rawValue].first = slot.number
        } else {
            entries[Int(last)].next = slot.number
        }
        lists[deadline.rawValue].last = slot.number
        return expiry
    }

    mutating func clear(_ slot: Slot) {
        let index = slot.index
        guard let deadline = entries[index].deadline else { return }
        let (previous, next) = (entries[index].previous, entries[index].next)
        if previous == Self.none {
            lists[deadline.rawValue].first = next
        } else {
            entries[Int(previous)].next = next
        }
        if next == Self.none {
            lists[deadline.rawValue].last = previous
        } else {
            entries[Int(next)].previous = previous
        }
        entries[index].deadline = nil
        entries[index].previous = Self.none
        entries[index].next = Self.none
    }

    /// Milliseconds since the slot's deadline was set; `nil` if it has none.
    func age(of slot: Slot, now: UInt64) -> UInt64? {
        let entry = entries[slot.index]
        guard let deadline = entry.deadline else { return nil }
        return now &+ durations[deadline.rawValue] &- entry.expiry
    }

    func duration(of deadline: Deadline) -> UInt64 { durations[deadline.rawValue] }

    /// The earliest expiry of all.
    var next: UInt64? {
        // Loops over sequences allocate in unoptimised builds, such as tests, and the timer fires while bytes move.
        var earliest: UInt64?
        var kind = 0
        while kind < lists.count {
            let first = lists[kind].first
            if first != Self.none { earliest = min(earliest ?? .max, entries[Int(first)].expiry) }
            kind += 1
        }
        return earliest
    }

    /// The owner of a slot that is in use.
    subscript(slot: Slot) -> Owner {
        get {
            guard let owner = entries[slot.index].owner else {
                preconditionFailure("a slot without an owner")
            }
            return owner
        }
        set { entries[slot.index].owner = newValue }
    }

    /// The owner whose deadline of this kind was set the longest time ago.
    func first(with deadline: Deadline) -> Slot? {
        let first = lists[deadline.rawValue].first
        return first == Self.none ? nil : Slot(number: first)
    }

    /// Takes one expired deadline out of the queue; its owner stays.
    mutating func takeExpired(now: UInt64) -> (slot: Slot, deadline: Deadline)? {
        var kind = 0
        while kind < lists.count {
            let first = lists[kind].first
            if first != Self.none, entries[Int(first)].expiry <= now, let deadline = Deadline(rawValue: kind)
            {
                clear(Slot(number: first))
                return (Slot(number: first), deadline)
            }
            kind += 1
        }
        return nil
    }
}
