internal import Glibc
internal import UVLoop

/// Lends rings to the sessions of one worker.
///
/// Most loans begin and end within one callback, so that consecutive connections get the same memory, still warm in the
/// cache. Only bytes that a sink doesn't accept keep a ring on loan. All but a few unused rings are freed.
///
/// - Isolation: the worker's thread; ``MemoryBudget`` is shared by all workers.
/// - Ownership: every loan must be returned before the pool is freed.
final class BufferPool {
    /// The sizes of a ring.
    enum Size: Int, CaseIterable, Comparable {
        case tiny, small, medium, large

        var bytes: Int {
            switch self {
            case .tiny: 4 << 10
            case .small: 16 << 10
            case .medium: 64 << 10
            case .large: 256 << 10
            }
        }

        /// The most unused rings of this size that a worker keeps.
        fileprivate var kept: Int {
            switch self {
            case .tiny: 16
            case .small: 4
            case .medium, .large: 1
            }
        }

        /// The largest size of at most this many bytes, or the smallest size.
        static func within(_ bytes: Int) -> Size {
            var size = Size.large
            while size > .tiny && size.bytes > bytes { size = size.smaller }
            return size
        }

        /// The smallest size of at least this many bytes, or the largest size.
        static func holding(_ bytes: Int) -> Size {
            var size = Size.tiny
            while size < .large && size.bytes < bytes { size = size.larger }
            return size
        }

        var larger: Size { Size(rawValue: rawValue + 1) ?? self }
        var smaller: Size { Size(rawValue: rawValue - 1) ?? self }

        static func < (left: Size, right: Size) -> Bool { left.rawValue < right.rawValue }
    }

    /// The kind of a ring on loan.
    enum Loan {
        case counted(Size)
        /// The last resort when the budget is used up, ``Size/tiny``.
        case beyondBudget
        /// A part of a message in memory of exactly its size, which is less than the session takes anyway.
        case exact
    }

    /// In addition to the rings, for bytes that aren't copied.
    let pipes: PipePool
    private let budget: MemoryBudget
    @exclusivity(unchecked) private var idle = InlineArray<4, IdleRings>(repeating: IdleRings())
    @exclusivity(unchecked) private var lent = 0

    init(_ budget: MemoryBudget, _ splicing: Splicing = .bulk, _ counters: Counters = Counters()) {
        self.budget = budget
        pipes = PipePool(budget, splicing, counters)
    }

    var isShort: Bool { budget.isShort }

    /// A ring of the wanted size, or a smaller one if memory is short; never none.
    ///
    /// - Parameter isBrief: whether it will be returned at once.
    func lend(_ wanted: Size, isBrief: Bool = false) -> RingBuffer {
        lent += 1
        var size = wanted
        while true {
            if let memory = idle[size.rawValue].take() {
                return RingBuffer(memory, size, .counted(size))
            }
            if budget.reserve(size.bytes, isBrief: isBrief) {
                if let memory = Self.allocate(size) { return RingBuffer(memory, size, .counted(size)) }
                budget.release(size.bytes)
            }
            if size == .tiny { break }
            size = size.smaller
        }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: Size.tiny.bytes, alignment: 16)
        return RingBuffer(memory, .tiny, .beyondBudget)
    }

    /// A ring with room for exactly this many bytes, outside the budget.
    func lendExactly(_ bytes: Int) -> RingBuffer {
        lent += 1
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 1)
        return RingBuffer(memory, .exact)
    }

    func takeBack(_ ring: consuming RingBuffer) {
        guard let loan = ring.loan, let memory = ring.memory else { return }
        lent -= 1
        switch loan {
        case .counted(let size):
            if idle[size.rawValue].count < size.kept {
                idle[size.rawValue].keep(memory)
            } else {
                Self.free(memory, size)
                budget.release(size.bytes)
            }
        case .beyondBudget, .exact:
            memory.deallocate()
        }
    }

    /// Large rings are mapped, so that freeing them returns the memory to the system at once.
    private static func allocate(_ size: Size) -> UnsafeMutableRawPointer? {
        if size < .medium { return .allocate(byteCount: size.bytes, alignment: 16) }
        let memory = mmap(nil, size.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        return memory == MAP_FAILED ? nil : memory
    }

    private static func free(_ memory: UnsafeMutableRawPointer, _ size: Size) {
        if size < .medium {
            memory.deallocate()
        } else {
            munmap(memory, size.bytes)
        }
    }

    deinit {
        assert(lent == 0, "a ring is still on loan")
        for size in Size.allCases {
            while let memory = idle[size.rawValue].take() {
                Self.free(memory, size)
                budget.release(size.bytes)
            }
        }
    }
}

/// Encoded bytes that aren't sent count like bytes in rings.
extension BufferPool: WireMemory {
    func wireIsHeld(_ bytes: Int) { budget.hold(bytes) }
    func wireIsFreed(_ bytes: Int) { budget.release(bytes) }
}

extension RingBuffer {
    fileprivate init(_ memory: UnsafeMutableRawPointer, _ size: BufferPool.Size, _ loan: BufferPool.Loan) {
        self.init(UnsafeMutableRawBufferPointer(start: memory, count: size.bytes), loan)
    }
}

/// Unused rings of one size, the most recently used first. Each stores the next one in its first bytes, so that keeping
/// one allocates nothing.
private struct IdleRings {
    private var first: UnsafeMutableRawPointer?
    private(set) var count = 0

    mutating func keep(_ memory: UnsafeMutableRawPointer) {
        memory.storeBytes(of: first, as: UnsafeMutableRawPointer?.self)
        first = memory
        count += 1
    }

    mutating func take() -> UnsafeMutableRawPointer? {
        guard let memory = first else { return nil }
        first = memory.load(as: UnsafeMutableRawPointer?.self)
        count -= 1
        return memory
    }
}
