/// Elements in doubly linked lists that share one block of memory.
///
/// Everything is O(1). Memory is allocated only when there are more elements than ever before.
///
/// Inlinable, like ``RecentTable``: every datagram passes here. A generic type that another module can't specialise
/// takes twice as many instructions as everything else that a datagram needs.
@usableFromInline
struct ListPool<Element> {
    /// Identifies an element from ``append(_:to:)`` to ``remove(_:from:)``.
    @usableFromInline
    struct Slot: Hashable {
        @usableFromInline let index: Int

        @inlinable
        init(index: Int) {
            self.index = index
        }
    }

    /// One list. The owner of the pool keeps it, and passes it to each change.
    @usableFromInline
    struct List {
        @usableFromInline var first: Slot?
        @usableFromInline var last: Slot?
        @usableFromInline var count = 0

        @inlinable
        init() {}
    }

    @usableFromInline
    struct Entry {
        /// `nil` if the entry is free.
        @usableFromInline var element: Element?
        /// Neighbours in the list; `next` also links the free entries.
        @usableFromInline var previous: Slot?
        @usableFromInline var next: Slot?

        @inlinable
        init(element: Element?, next: Slot? = nil) {
            self.element = element
            self.next = next
        }
    }

    @usableFromInline var entries: [Entry] = []
    @usableFromInline var firstFree: Slot?

    @inlinable
    init() {}

    /// The element in a slot that is in use.
    @inlinable
    subscript(slot: Slot) -> Element {
        get { Self.inUse(entries[slot.index].element) }
        set { entries[slot.index].element = newValue }
    }

    @inlinable
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
    @inlinable
    mutating func remove(_ slot: Slot, from list: inout List) -> Element {
        unlink(slot, from: &list)
        let element = Self.inUse(entries[slot.index].element)
        entries[slot.index] = Entry(element: nil, next: firstFree)
        firstFree = slot
        return element
    }

    @inlinable
    mutating func moveToEnd(_ slot: Slot, of list: inout List) {
        if list.last == slot { return }
        unlink(slot, from: &list)
        link(slot, to: &list)
    }

    /// The neighbour towards the beginning of the list.
    @inlinable
    func slot(before slot: Slot) -> Slot? { entries[slot.index].previous }

    @inlinable
    mutating func link(_ slot: Slot, to list: inout List) {
        entries[slot.index].previous = list.last
        entries[slot.index].next = nil
        if let last = list.last { entries[last.index].next = slot } else { list.first = slot }
        list.last = slot
        list.count += 1
    }

    @inlinable
    mutating func unlink(_ slot: Slot, from list: inout List) {
        let (previous, next) = (entries[slot.index].previous, entries[slot.index].next)
        if let previous { entries[previous.index].next = next } else { list.first = next }
        if let next { entries[next.index].previous = previous } else { list.last = previous }
        list.count -= 1
    }

    @inlinable
    static func inUse(_ element: Element?) -> Element {
        guard let element else { preconditionFailure("a slot that is free") }
        return element
    }
}
