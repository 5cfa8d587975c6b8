internal import Synchronization

/// The one number that bounds the memory of all rings of all workers.
final class MemoryBudget: Sendable {
    let limit: Int
    private let used = Atomic<Int>(0)

    init(limit: Int) {
        self.limit = limit
    }

    /// Bytes in use, idle rings that are kept among them.
    var bytes: Int { min(max(0, used.load(ordering: .relaxed)), limit) }

    /// Half of it is used: by streams that stall, since others give their memory back at once.
    var isShort: Bool { used.load(ordering: .relaxed) > limit / 2 }

    /// Takes `bytes` out of the budget. Near its end only small pieces are given, so that what is left goes
    /// round: at most an eighth of what remains, except for the smallest ring. And an eighth is left to those that
    /// give it back at once.
    ///
    /// - Parameter isBrief: whether it is one of those.
    /// - Returns: false where nothing was taken.
    func reserve(_ bytes: Int, isBrief: Bool = false) -> Bool {
        let before = used.wrappingAdd(bytes, ordering: .relaxed).oldValue
        let isTiny = bytes == BufferPool.Size.tiny.bytes
        let needed = isBrief ? bytes : max(isTiny ? bytes : bytes * 8, bytes + limit / 8)
        if limit - before >= needed { return true }
        release(bytes)
        return false
    }

    /// Takes what can't be refused, since it is there already: others get less.
    func hold(_ bytes: Int) {
        used.wrappingAdd(bytes, ordering: .relaxed)
    }

    func release(_ bytes: Int) {
        used.wrappingSubtract(bytes, ordering: .relaxed)
    }
}
