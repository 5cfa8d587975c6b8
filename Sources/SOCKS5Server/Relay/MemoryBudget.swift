internal import Synchronization

/// The one number that limits the memory of all rings of all workers.
final class MemoryBudget: Sendable {
    let limit: Int
    private let used = Atomic<Int>(0)

    init(limit: Int) {
        self.limit = limit
    }

    /// Bytes in use, including unused rings that are kept.
    var bytes: Int { min(max(0, used.load(ordering: .relaxed)), limit) }

    /// Half of the budget is used, and only by stalled streams, since others return their memory at once.
    var isShort: Bool { used.load(ordering: .relaxed) > limit / 2 }

    /// Takes `bytes` from the budget. Near its end only small pieces are granted, so that enough is left for everyone:
    /// at most an eighth of the rest, except for the smallest ring. An eighth of the budget is reserved for loans that
    /// are returned at once.
    ///
    /// - Parameter isBrief: whether this is such a loan.
    /// - Returns: false if nothing was taken.
    func reserve(_ bytes: Int, isBrief: Bool = false) -> Bool {
        let before = used.wrappingAdd(bytes, ordering: .relaxed).oldValue
        let isTiny = bytes == BufferPool.Size.tiny.bytes
        let needed = isBrief ? bytes : max(isTiny ? bytes : bytes * 8, bytes + limit / 8)
        if limit - before >= needed { return true }
        release(bytes)
        return false
    }

    /// Takes bytes that can't be refused, because they exist already: others get less.
    func hold(_ bytes: Int) {
        used.wrappingAdd(bytes, ordering: .relaxed)
    }

    func release(_ bytes: Int) {
        used.wrappingSubtract(bytes, ordering: .relaxed)
    }
}
