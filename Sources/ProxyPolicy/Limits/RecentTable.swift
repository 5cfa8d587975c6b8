/// A dictionary of bounded size: one key more takes the place of the one that was used the longest time ago.
///
/// The one such table of the package. Everything is O(1), and finding a key allocates nothing.
package struct RecentTable<Key: Hashable, Value> {
    private typealias Entries = ListPool<(key: Key, value: Value)>

    private let maximum: Int
    private var entries = Entries()
    /// The one used the longest time ago first.
    private var order = Entries.List()
    private var slots: [Key: Entries.Slot] = [:]

    package init(maximum: Int) {
        self.maximum = max(1, maximum)
    }

    package var count: Int { order.count }

    /// Reading a value is a use of it, and so is writing one.
    package subscript(key: Key) -> Value? {
        mutating get {
            guard let slot = slot(of: key) else { return nil }
            entries.moveToEnd(slot, of: &order)
            return entries[slot].value
        }
        set {
            if let newValue { insert(newValue, for: key) } else { remove(key) }
        }
    }

    /// Looks without counting that as a use.
    package func peek(_ key: Key) -> Value? { slot(of: key).map { entries[$0].value } }

    /// The same, for a value whose key isn't at hand; the last one used first. O(n).
    package func first(where isWanted: (Value) -> Bool) -> Value? {
        var slot = order.last
        while let current = slot {
            if isWanted(entries[current].value) { return entries[current].value }
            slot = entries.slot(before: current)
        }
        return nil
    }

    /// The same key often comes several times in a row.
    private func slot(of key: Key) -> Entries.Slot? {
        if let last = order.last, entries[last].key == key { return last }
        return slots[key]
    }

    private mutating func insert(_ value: Value, for key: Key) {
        if let slot = slot(of: key) {
            entries[slot].value = value
            return entries.moveToEnd(slot, of: &order)
        }
        if let oldest = order.first, order.count == maximum {
            slots[entries.remove(oldest, from: &order).key] = nil
        }
        slots[key] = entries.append((key, value), to: &order)
    }

    private mutating func remove(_ key: Key) {
        guard let slot = slots.removeValue(forKey: key) else { return }
        entries.remove(slot, from: &order)
    }
}
