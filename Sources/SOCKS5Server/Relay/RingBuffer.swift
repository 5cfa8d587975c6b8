internal import ProxyPolicy

/// Bytes on their way through one direction of a session, in memory on loan from a ``BufferPool``.
///
/// Without a loan the capacity is 0. Noncopyable, so that memory has one holder and goes back once.
struct RingBuffer: ~Copyable {
    /// What the pool needs to know to take the memory back.
    let loan: BufferPool.Loan?
    private let storage: UnsafeMutableRawBufferPointer
    /// Where the oldest byte is.
    private var head = 0
    private(set) var count = 0

    /// No loan.
    init() {
        loan = nil
        storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    init(_ storage: UnsafeMutableRawBufferPointer, _ loan: BufferPool.Loan) {
        self.storage = storage
        self.loan = loan
    }

    var capacity: Int { storage.count }
    var isEmpty: Bool { count == 0 }
    var memory: UnsafeMutableRawPointer? { storage.baseAddress }

    var fill: Fill {
        if count == 0 { return .empty }
        if count == capacity { return .full }
        return capacity - count >= count ? .halfFree : .partial
    }

    /// The free bytes that lie in one piece behind the newest byte.
    var writable: UnsafeMutableRawBufferPointer {
        let tail = head + count
        return tail < capacity
            ? UnsafeMutableRawBufferPointer(rebasing: storage[tail...])
            : UnsafeMutableRawBufferPointer(rebasing: storage[(tail - capacity)..<head])
    }

    /// The oldest bytes, in the one or two pieces in which they lie, at most `limit` of them.
    func readable(limit: Int = .max) -> (first: UnsafeRawBufferPointer, second: UnsafeRawBufferPointer) {
        let wanted = min(count, limit)
        let first = min(wanted, capacity - head)
        return (
            UnsafeRawBufferPointer(rebasing: storage[head..<(head + first)]),
            UnsafeRawBufferPointer(rebasing: storage[..<(wanted - first)])
        )
    }

    /// Takes what another ring holds, for which there must be room in one piece.
    mutating func append(_ other: borrowing RingBuffer) {
        let room = writable
        let (first, second) = other.readable()
        room.copyMemory(from: first)
        UnsafeMutableRawBufferPointer(rebasing: room[first.count...]).copyMemory(from: second)
        append(other.count)
    }

    /// Overwrites the oldest bytes, which may be secret.
    func erase(_ length: Int) {
        let (first, second) = readable(limit: length)
        ProxyPolicy.erase(UnsafeMutableRawBufferPointer(mutating: first))
        ProxyPolicy.erase(UnsafeMutableRawBufferPointer(mutating: second))
    }

    /// Moves the bytes, which lie in one piece, to the first byte of the memory, and overwrites the place they leave.
    mutating func moveToFront() {
        guard head > 0, let memory else { return }
        let left = max(head, count)..<(head + count)
        precondition(left.upperBound <= capacity, "bytes in two pieces")
        memory.copyMemory(from: memory + head, byteCount: count)
        ProxyPolicy.erase(UnsafeMutableRawBufferPointer(rebasing: storage[left]))
        head = 0
    }

    /// So many bytes were put into ``writable``.
    mutating func append(_ length: Int) {
        precondition(length <= writable.count, "more than the room there was")
        count += length
    }

    /// So many of the oldest bytes are dealt with.
    mutating func removeFirst(_ length: Int) {
        precondition(length <= count, "more than the bytes there were")
        count -= length
        head = count == 0 ? 0 : (head + length) % capacity
    }

    /// How full a ring is, as far as flow control cares.
    enum Fill {
        case empty
        /// Bytes are held, and at least half of the ring is free.
        case halfFree
        /// Bytes are held, and less than half of the ring is free.
        case partial
        case full
    }
}
