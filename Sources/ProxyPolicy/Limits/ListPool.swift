/// Elements in doubly linked lists, which share one block of memory.
///
/// Everything is O(1). Nothing is allocated while no more elements are in it than there have been before.
struct ListPool<Element> {
    /// Names an element from ``append(_:to:)`` to ``remove(_:from:)``.
    struct Slot: Hashable {
        fileprivate let index: Int
    }

    /// One list: whoever has the pool keeps it, and names it with each change.
    struct List {
        fileprivate(set) var first: Slot?
        fileprivate(set) var last: Slot?
        private(set) var count = 0

        fileprivate mutating func grow(_ change: Int) { count += change }
    }

    private struct Entry {
        /// `nil`: the entry is free.
        var element: Element?
        /// Neighbours in the list; `next` also links the free entries.
        var previous: Slot?
        var next: Slot?
    }

    private var entries: [Entry] = []
    private var firstFree: Slot?

    /// The element in a slot that is in use.
    subscript(slot: Slot) -> Element {
        get { Self.inUse(entries[slot.index].element) }
        set { entries[slot.index].element = newValue }
    }

    mutating func append(_ element: Element, to list: inout List) -> Slot {
        let slot = firstFree ?? Slot(index: entries.count)
        if firstFree == nil {
            entries.append(Entry(element: element))
        } else {
            firstFree = entries[slot.index].next
            entries[slot.index] = Entry(element: element)
        }
        link(slot, to: &list)
        return slot
    }

    @discardableResult
    mutating func remove(_ slot: Slot, from list: inout List) -> Element {
        unlink(slot, from: &list)
        let element = Self.inUse(entries[slot.index].element)
        entries[slot.index] = Entry(next: firstFree)
        firstFree = slot
        return element
    }

    mutating func moveToEnd(_ slot: Slot, of list: inout List) {
        if list.last == slot { return }
        unlink(slot, from: &list)
        link(slot, to: &list)
    }

    /// The neighbour towards the beginning of the list.
    func slot(before slot: Slot) -> Slot? { entries[slot.index].previous }

    private mutating func link(_ slot: Slot, to list: inout List) {
        entries[slot.index].previous = list.last
        entries[slot.index].next = nil
        if let last = list.last { entries[last.index].next = slot } else { list.first = slot }
        list.last = slot
        list.grow(1)
    }

    private mutating func unlink(_ slot: Slot, from list: inout List) {
        let (previous, next) = (entries[slot.index].previous, entries[slot.index].next)
        if let previous { entries[previous.index].next = next } else { list.first = next }
        if let next { entries[next.index].previous = previous } else { list.last = previous }
        list.grow(-1)
    }

    private static func inUse(_ element: Element?) -> Element {
        guard let element else { preconditionFailure("a slot that is free") }
        return element
    }
}
