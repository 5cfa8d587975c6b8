internal import Synchronization

/// The one number that bounds the memory of all rings of all workers.
final class MemoryBudget: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)

    init(limit: Int) {
        self.limit = limit
    }

    /// Takes `bytes` out of the budget. Near its end only small pieces are given, so that what is left goes
    /// round: at most an eighth of what remains, except for the smallest ring.
    ///
    /// - Returns: false where nothing was taken.
    func reserve(_ bytes: Int) -> Bool {
        let before = used.wrappingAdd(bytes, ordering: .relaxed).oldValue
        let share = bytes == BufferPool.Size.tiny.bytes ? 1 : 8
        if limit - before >= bytes * share { return true }
        release(bytes)
        return false
    }

    func release(_ bytes: Int) {
        used.wrappingSubtract(bytes, ordering: .relaxed)
    }
}
