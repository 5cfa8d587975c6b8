/// Where bytes of the wire pass by on their way through a codec: one of a loop, used within one callback.
///
/// - Isolation: the loop's thread.
final class WireRoom {
    /// For what has come.
    let incoming = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
    /// For what is to be sent.
    let outgoing = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)

    /// In bytes: twice the largest unit of a codec, so that one more fits beside a part of one.
    private static let size = 2 * CodecStep.wireRoom

    deinit {
        incoming.deallocate()
        outgoing.deallocate()
    }
}

/// Bounds the memory of bytes of the wire that can't pass by.
package protocol WireMemory: AnyObject {
    /// Whether so little is left that less should be encoded at once.
    var isShort: Bool { get }
    /// So many bytes are held, which can't be refused: they are encoded already.
    func wireIsHeld(_ bytes: Int)
    func wireIsFreed(_ bytes: Int)
}

/// Bytes of the wire that wait, in memory of their own. Noncopyable, so that the memory has one owner.
struct HeldWire: ~Copyable {
    private let memory: UnsafeMutableRawBufferPointer
    private let owner: (any WireMemory)?

    init(_ bytes: UnsafeRawBufferPointer, _ owner: (any WireMemory)?) {
        memory = .allocate(byteCount: bytes.count, alignment: 16)
        memory.copyMemory(from: bytes)
        self.owner = owner
        owner?.wireIsHeld(bytes.count)
    }

    /// Nothing, which takes no memory.
    init() {
        memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        owner = nil
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }
    var count: Int { memory.count }

    deinit {
        owner?.wireIsFreed(memory.count)
        memory.deallocate()
    }
}
