/// A dictionary of bounded size: when it is full, a new key replaces the least recently used one.
///
/// Everything is O(1), and finding a key allocates nothing.
public struct RecentTable<Key: Hashable, Value> {
    @usableFromInline
    struct Entry {
        @usableFromInline let key: Key
        @usableFromInline var value: Value

        @inlinable
        init(key: Key, value: Value) {
            self.key = key
            self.value = value
        }
    }

    @usableFromInline let maximum: Int
    @usableFromInline var entries = ListPool<Entry>()
    /// The least recently used entry comes first.
    @usableFromInline var order = ListPool<Entry>.List()
    @usableFromInline var slots: [Key: ListPool<Entry>.Slot] = [:]

    @inlinable
    public init(maximum: Int) {
        self.maximum = max(1, maximum)
    }

    @inlinable
    public var count: Int { order.count }

    /// Both reading and writing a value count as a use of it.
    @inlinable
    public subscript(key: Key) -> Value? {
        mutating get {
            guard let slot = slot(of: key) else { return nil }
            entries.moveToEnd(slot, of: &order)
            return entries[slot].value
        }
        set {
            if let newValue { insert(newValue, for: key) } else { remove(key) }
        }
    }

    /// Reads a value without counting that as a use.
    @inlinable
    public func peek(_ key: Key) -> Value? { slot(of: key).map { entries[$0].value } }

    /// As above, for a value whose key isn't at hand; the most recently used comes first. O(n).
    @inlinable
    public func first(where isWanted: (Value) -> Bool) -> Value? {
        var slot = order.last
        while let current = slot {
            if isWanted(entries[current].value) { return entries[current].value }
            slot = entries.slot(before: current)
        }
        return nil
    }

    /// Every key with its value, the most recently used first, without counting that as a use. O(n).
    @inlinable
    public func forEach(_ body: (Key, Value) -> Void) {
        var slot = order.last
        while let current = slot {
            body(entries[current].key, entries[current].value)
            slot = entries.slot(before: current)
        }
    }

    @inlinable
    public mutating func removeAll() {
        while let oldest = order.first { slots[entries.remove(oldest, from: &order).key] = nil }
    }

    /// The same key often comes several times in a row.
    @inlinable
    func slot(of key: Key) -> ListPool<Entry>.Slot? {
        if let last = order.last, entries[last].key == key { return last }
        return slots[key]
    }

    @inlinable
    mutating func insert(_ value: Value, for key: Key) {
        if let slot = slot(of: key) {
            entries[slot].value = value
            return entries.moveToEnd(slot, of: &order)
        }
        if let oldest = order.first, order.count == maximum {
            slots[entries.remove(oldest, from: &order).key] = nil
        }
        slots[key] = entries.append(Entry(key: key, value: value), to: &order)
    }

    @inlinable
    mutating func remove(_ key: Key) {
        guard let slot = slots.removeValue(forKey: key) else { return }
        entries.remove(slot, from: &order)
    }
}
