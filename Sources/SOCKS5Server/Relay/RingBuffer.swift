internal import ProxyPolicy

/// Bytes in one direction of a session, in memory borrowed from a ``BufferPool``.
///
/// Without a loan the capacity is 0. Noncopyable, so that the memory has one holder and is returned once.
struct RingBuffer: ~Copyable {
    /// The information that the pool needs to take the memory back.
    let loan: BufferPool.Loan?
    private let storage: UnsafeMutableRawBufferPointer
    /// The position of the oldest byte.
    private var head = 0
    private(set) var count = 0

    /// A ring without a loan.
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

    /// The contiguous free bytes after the newest byte.
    var writable: UnsafeMutableRawBufferPointer {
        let tail = head + count
        return tail < capacity
            ? UnsafeMutableRawBufferPointer(rebasing: storage[tail...])
            : UnsafeMutableRawBufferPointer(rebasing: storage[(tail - capacity)..<head])
    }

    /// At most `limit` of the oldest bytes, in one or two contiguous pieces.
    func readable(limit: Int = .max) -> (first: UnsafeRawBufferPointer, second: UnsafeRawBufferPointer) {
        let wanted = min(count, limit)
        let first = min(wanted, capacity - head)
        return (
            UnsafeRawBufferPointer(rebasing: storage[head..<(head + first)]),
            UnsafeRawBufferPointer(rebasing: storage[..<(wanted - first)])
        )
    }

    /// Appends the bytes of another ring, which must fit into one contiguous piece.
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

    /// Moves the bytes, which must be contiguous, to the start of the memory, and overwrites their old place.
    mutating func moveToFront() {
        guard head > 0, let memory else { return }
        let left = max(head, count)..<(head + count)
        precondition(left.upperBound <= capacity, "bytes in two pieces")
        memory.copyMemory(from: memory + head, byteCount: count)
        ProxyPolicy.erase(UnsafeMutableRawBufferPointer(rebasing: storage[left]))
        head = 0
    }

    /// This many bytes were put into ``writable``.
    mutating func append(_ length: Int) {
        precondition(length <= writable.count, "more than the room there was")
        count += length
    }

    /// This many of the oldest bytes are consumed.
    mutating func removeFirst(_ length: Int) {
        precondition(length <= count, "more than the bytes there were")
        count -= length
        head = count == 0 ? 0 : (head + length) % capacity
    }

    /// The fill level of a ring, as flow control needs it.
    enum Fill {
        case empty
        /// There are bytes, and at least half of the ring is free.
        case halfFree
        /// There are bytes, and less than half of the ring is free.
        case partial
        case full
    }
}
