/// A dictionary of bounded size that forgets what was not used for the longest time.
///
/// Two generations: what is used moves into the young one, and when that is full, it becomes the old one and
/// what was old is forgotten. So at least half of the maximum is remembered, exactly the last used, and
/// everything is O(1).
package struct RecentTable<Key: Hashable, Value> {
    private let half: Int
    private var young: [Key: Value] = [:]
    private var old: [Key: Value] = [:]

    package init(maximum: Int) {
        half = max(1, maximum / 2)
    }

    package var count: Int { young.count + old.count }

    package subscript(key: Key) -> Value? {
        mutating get {
            if let value = young[key] { return value }
            guard let value = old.removeValue(forKey: key) else { return nil }
            self[key] = value
            return value
        }
        set {
            old[key] = nil
            young[key] = newValue
            guard young.count >= half else { return }
            old = young
            young = [:]
        }
    }

    /// Looks without counting that as a use.
    package func peek(_ key: Key) -> Value? { young[key] ?? old[key] }
}
