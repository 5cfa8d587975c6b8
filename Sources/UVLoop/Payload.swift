/// Bytes in one or two pieces, the oldest first.
struct Payload {
    private var first: UnsafeRawBufferPointer
    private var second: UnsafeRawBufferPointer

    init(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) {
        self.first = first
        self.second = second
    }

    var count: Int { first.count + second.count }
    var isEmpty: Bool { count == 0 }

    /// The oldest contiguous bytes.
    var piece: UnsafeRawBufferPointer { first.isEmpty ? second : first }

    mutating func removeFirst(_ count: Int) {
        let ofFirst = min(count, first.count)
        first = UnsafeRawBufferPointer(rebasing: first[ofFirst...])
        second = UnsafeRawBufferPointer(rebasing: second[(count - ofFirst)...])
    }
}
