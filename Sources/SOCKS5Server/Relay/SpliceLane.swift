internal import UVLoop

/// The way of a stream that has proved to be bulk: past this process, through a pipe(2) of the kernel.
///
/// A pipe is on loan from the bytes' arrival until the sink has taken them, most of the time within one callback, as
/// a ring is. While the lane holds bytes, flow control sees a full ring. What is in the ring is older.
///
/// - Ownership: the ``Pipe``'s.
struct SpliceLane {
    /// On loan while it holds bytes.
    private var pipe: SplicePipe?
    /// `nil`: what comes is a handshake still, which must be looked at.
    private var splicing: Splicing?
    /// Whether the next bytes go through a pipe, so that the stream is not to be read into a ring.
    private(set) var isOpen = false
    private var shortFills: UInt8 = 0

    /// Bytes of a read.
    private static let bulk = 64 << 10
    /// With fewer bytes a call than these, so many times in a row, copying costs less.
    private static let short = (bytes: 32 << 10, inARow: 8 as UInt8)

    var carriesPayload: Bool { splicing != nil }
    var holdsBytes: Bool { pipe != nil }
    var count: Int { pipe?.count ?? 0 }

    mutating func beginPayload(_ splicing: Splicing) {
        self.splicing = splicing
        isOpen = splicing == .always
    }

    /// Bytes have been read into a ring: so many that copying them costs more than two calls, and that the sink takes
    /// at once, prove the stream to be bulk.
    mutating func note(_ count: Int, wasTakenAtOnce: Bool, _ pool: PipePool) {
        switch splicing {
        case nil, .never: break
        case .bulk: if wasTakenAtOnce && count >= Self.bulk && pool.hasRoom { isOpen = true }
        case .always: isOpen = true
        }
    }

    /// Takes what the source has, while the lane holds nothing.
    ///
    /// - Returns: the number of bytes; 0: the lane is closed, and the stream is to be read.
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

    /// Gives the sink what it takes at once; returns how many bytes.
    mutating func drain(to sink: TCPStream, _ pool: PipePool) throws(UVError) -> Int {
        guard let pipe else { return 0 }
        let count = try pipe.drain(to: sink)
        if pipe.count == 0 { discard(pool) }
        return count
    }

    /// Moves the oldest bytes into a ring, where the sink has refused them; returns how many. While a sink waits, the
    /// pipe is for others.
    mutating func spill(into room: UnsafeMutableRawBufferPointer, _ pool: PipePool) throws(UVError) -> Int {
        guard let pipe else { return 0 }
        isOpen = splicing == .always
        let count = try pipe.read(into: room)
        if pipe.count == 0 { discard(pool) }
        return count
    }

    /// Gives the pipe back, whatever it holds.
    mutating func discard(_ pool: PipePool) {
        guard let pipe else { return }
        self.pipe = nil
        pool.takeBack(pipe)
    }
}

/// Lends pipes to the streams of one worker. What they hold counts as the memory of rings does.
///
/// - Isolation: the worker's thread; ``MemoryBudget`` is shared by all workers.
final class PipePool {
    /// Of a pipe, in bytes. What a user may have in large pipes without privileges is 64 MiB (pipe(7)).
    static let capacity = 256 << 10
    /// Pipes of a worker, each of two descriptors.
    static let atMost = 16
    /// Of these stay open while nobody uses them.
    private static let kept = 4

    let splicing: Splicing
    private let budget: MemoryBudget
    private let counters: Counters
    private var idle: [SplicePipe] = []
    private var lent = 0
    /// Fewer where the system has denied one.
    private var limit = atMost

    init(_ budget: MemoryBudget, _ splicing: Splicing, _ counters: Counters) {
        self.budget = budget
        self.counters = counters
        self.splicing = splicing
    }

    deinit {
        assert(lent == 0, "a pipe is still on loan")
    }

    /// Whether another pipe may be lent, but for memory.
    var hasRoom: Bool { lent < limit }

    /// `nil` where there are too many, or memory is short.
    ///
    /// - Parameter isBrief: whether it comes back at once.
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
            // The user has as many large pipes as there may be; out of descriptors is for a moment.
            if error == .notPermitted { limit = lent }
            return nil
        }
    }
}
