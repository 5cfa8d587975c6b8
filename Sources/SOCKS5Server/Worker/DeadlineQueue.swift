/// What a session may be late with. Each has one duration for all sessions.
enum Deadline: Int, CaseIterable {
    /// From accept to the complete request.
    case handshake
    /// From a failed login to its answer, where its source has had too many.
    case lateRefusal
    /// From the request to the connected target.
    case dial
    /// From the listening address of a BIND to the connection.
    case bind
    /// Of a session that waits for its target, beside its deadline: time to try the target's next address, and to
    /// look whether a client that isn't being read has gone.
    case turn
    /// Of a session with a stream that isn't read, beside its deadline: time to look whether the peer has gone.
    case look
    /// Without a byte either way.
    case idle
    /// The same, once one direction has ended.
    case halfClosed
    /// Without a datagram of a UDP association.
    case udpIdle
    /// For the client to take a refusal and leave.
    case refusal

    /// For the log.
    var text: String {
        switch self {
        case .handshake, .dial, .bind, .turn, .look, .idle, .refusal: "\(self)"
        case .lateRefusal: "late refusal"
        case .halfClosed: "half-closed"
        case .udpIdle: "udp idle"
        }
    }
}

/// The sessions of a worker, each with at most one deadline.
///
/// All deadlines of a kind last equally long, so that a list in the order of setting is one in the order of
/// expiry: everything here is O(1).
struct DeadlineQueue<Owner: AnyObject> {
    /// Names an owner in the queue, from its insertion to its removal.
    struct Slot: Equatable {
        fileprivate let index: Int32
    }

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
        return Slot(index: index)
    }

    mutating func remove(_ slot: Slot) {
        clear(slot)
        count -= 1
        entries[Int(slot.index)] = Entry(next: firstFree)
        firstFree = slot.index
    }

    /// Sets the one deadline of a slot, counted from `now`.
    ///
    /// - Returns: when it expires.
    @discardableResult
    mutating func set(_ slot: Slot, _ deadline: Deadline, now: UInt64) -> UInt64 {
        let index = Int(slot.index)
        let expiry = now &+ durations[deadline.rawValue]
        if entries[index].deadline == deadline && entries[index].expiry == expiry { return expiry }
        clear(slot)
        let last = lists[deadline.rawValue].last
        entries[index].deadline = deadline
        entries[index].expiry = expiry
        entries[index].previous = last
        if last == Self.none {
            lists[deadline.rawValue].first = slot.index
        } else {
            entries[Int(last)].next = slot.index
        }
        lists[deadline.rawValue].last = slot.index
        return expiry
    }

    mutating func clear(_ slot: Slot) {
        let index = Int(slot.index)
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

    /// The earliest expiry of all.
    var next: UInt64? {
        lists.lazy.filter { $0.first != Self.none }.map { entries[Int($0.first)].expiry }.min()
    }

    /// Takes one deadline that has expired out of the queue; the owner stays in it.
    mutating func takeExpired(now: UInt64) -> (owner: Owner, deadline: Deadline)? {
        for deadline in Deadline.allCases {
            let first = lists[deadline.rawValue].first
            guard first != Self.none, entries[Int(first)].expiry <= now else { continue }
            clear(Slot(index: first))
            if let owner = entries[Int(first)].owner { return (owner, deadline) }
        }
        return nil
    }

    var owners: [Owner] { entries.compactMap(\.owner) }
}
