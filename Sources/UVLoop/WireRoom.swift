/// Buffers for wire bytes that pass through a codec: one pair per loop, used within one callback.
///
/// - Isolation: the loop's thread.
final class WireRoom {
    /// For bytes from the wire.
    let incoming = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
    /// For bytes to the wire.
    let outgoing = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)

    /// In bytes: twice the largest unit of a codec, so that a whole one fits beside a partial one.
    private static let size = 2 * CodecStep.wireRoom

    deinit {
        incoming.deallocate()
        outgoing.deallocate()
    }
}

/// Limits the memory of wire bytes that have to wait.
package protocol WireMemory: AnyObject {
    /// Whether so little is left that less should be encoded at once.
    var isShort: Bool { get }
    /// This many bytes are held now. They can't be refused, because they are encoded already.
    func wireIsHeld(_ bytes: Int)
    func wireIsFreed(_ bytes: Int)
}

/// Waiting wire bytes, in memory of their own. Noncopyable, so that the memory has one owner.
struct HeldWire: ~Copyable {
    private let memory: UnsafeMutableRawBufferPointer
    private let owner: (any WireMemory)?

    init(_ bytes: UnsafeRawBufferPointer, _ owner: (any WireMemory)?) {
        memory = .allocate(byteCount: bytes.count, alignment: 16)
        memory.copyMemory(from: bytes)
        self.owner = owner
        owner?.wireIsHeld(bytes.count)
    }

    /// Empty, without memory.
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
