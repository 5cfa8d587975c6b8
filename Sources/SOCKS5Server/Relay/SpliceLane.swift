internal import UVLoop

/// The fast path of a bulk stream: its bytes bypass this process, through a pipe(2) of the kernel.
///
/// Like a ring, a pipe is on loan from the arrival of bytes until the sink has accepted them, usually within one
/// callback. While the lane holds bytes, flow control sees a full ring. Bytes in the ring are older.
///
/// - Ownership: owned by the ``Pipe``.
struct SpliceLane {
    /// On loan while it holds bytes.
    private var pipe: SplicePipe?
    /// `nil` during the handshake, whose bytes must be read.
    private var splicing: Splicing?
    /// Whether the next bytes are spliced, so that the stream must not be read into a ring.
    private(set) var isOpen = false
    private var shortFills: UInt8 = 0

    /// The size of a read that proves a stream to be bulk, in bytes.
    private static let bulk = 64 << 10
    /// If calls move fewer bytes than this, this many times in a row, copying costs less.
    private static let short = (bytes: 32 << 10, inARow: 8 as UInt8)

    var carriesPayload: Bool { splicing != nil }
    var holdsBytes: Bool { pipe != nil }
    var count: Int { pipe?.count ?? 0 }

    mutating func beginPayload(_ splicing: Splicing) {
        self.splicing = splicing
        isOpen = splicing == .always
    }

    /// Bytes were read into a ring. A stream counts as bulk if there were so many that copying them costs more than two
    /// calls, and if the sink has accepted them at once.
    mutating func note(_ count: Int, wasTakenAtOnce: Bool, _ pool: PipePool) {
        switch splicing {
        case nil, .never: break
        case .bulk: if wasTakenAtOnce && count >= Self.bulk && pool.hasRoom { isOpen = true }
        case .always: isOpen = true
        }
    }

    /// Takes bytes from the source; the lane must be empty.
    ///
    /// - Returns: the number of bytes; if 0, the lane is closed, and the stream must be read.
    mutating func fill(
        from source: TCPStream,
        atMost limit: Int,
        isBrief: Bool,
        _ pool: PipePool
    ) throws(UVError) -> Int {
        guard let pipe = pool.lend(isBrief: isBrief) else {
            isOpen = false
            return 0
        }
        let count: Int
        do {
            count = try pipe.fill(from: source, limit: min(limit, PipePool.capacity))
        } catch {
            pool.takeBack(pipe)
            throw error
        }
        guard count > 0 else {
            pool.takeBack(pipe)
            isOpen = false
            return 0
        }
        self.pipe = pipe
        shortFills = count < Self.short.bytes ? shortFills + 1 : 0
        if shortFills == Self.short.inARow {
            shortFills = 0
            isOpen = splicing == .always
        }
        return count
    }

    /// Writes as many bytes as the sink accepts at once, and returns their number.
    mutating func drain(to sink: TCPStream, _ pool: PipePool) throws(UVError) -> Int {
        guard let pipe else { return 0 }
        let count = try pipe.drain(to: sink)
        if pipe.count == 0 { discard(pool) }
        return count
    }

    /// Moves the oldest bytes into a ring, after the sink has refused them, and returns their number. So the pipe is
    /// free for others while the sink stalls.
    mutating func spill(into room: UnsafeMutableRawBufferPointer, _ pool: PipePool) throws(UVError) -> Int {
        guard let pipe else { return 0 }
        isOpen = splicing == .always
        let count = try pipe.read(into: room)
        if pipe.count == 0 { discard(pool) }
        return count
    }

    /// Returns the pipe with its contents.
    mutating func discard(_ pool: PipePool) {
        guard let pipe else { return }
        self.pipe = nil
        pool.takeBack(pipe)
    }
}

/// Lends pipes to the streams of one worker. Bytes in them count like the memory of rings.
///
/// - Isolation: the worker's thread; ``MemoryBudget`` is shared by all workers.
final class PipePool {
    /// The capacity of a pipe in bytes. Without privileges a user may have 64 MiB in large pipes (pipe(7)).
    static let capacity = 256 << 10
    /// The most pipes of a worker, each of two descriptors.
    static let atMost = 16
    /// The most unused pipes that stay open.
    private static let kept = 4

    let splicing: Splicing
    private let budget: MemoryBudget
    private let counters: Counters
    private var idle: [SplicePipe] = []
    private var lent = 0
    /// Lowered if the system has denied a pipe.
    private var limit = atMost

    init(_ budget: MemoryBudget, _ splicing: Splicing, _ counters: Counters) {
        self.budget = budget
        self.counters = counters
        self.splicing = splicing
    }

    deinit {
        assert(lent == 0, "a pipe is still on loan")
    }

    /// Whether another pipe may be lent, apart from memory.
    var hasRoom: Bool { lent < limit }

    /// `nil` if there are too many, or if memory is short.
    ///
    /// - Parameter isBrief: whether it will be returned at once.
    func lend(isBrief: Bool = false) -> SplicePipe? {
        guard hasRoom, budget.reserve(Self.capacity, isBrief: isBrief) else { return nil }
        guard let pipe = idle.popLast() ?? open() else {
            budget.release(Self.capacity)
            return nil
        }
        lent += 1
        counters.pipeWasLent()
        return pipe
    }

    func takeBack(_ pipe: SplicePipe) {
        lent -= 1
        counters.pipeCameBack()
        budget.release(Self.capacity)
        if pipe.count == 0 && idle.count < Self.kept { idle.append(pipe) }
    }

    private func open() -> SplicePipe? {
        do throws(UVError) {
            return try SplicePipe(capacity: Self.capacity)
        } catch {
            // The user has reached the limit of large pipes. A lack of descriptors, in contrast, is temporary.
            if error == .notPermitted { limit = lent }
            return nil
        }
    }
}
