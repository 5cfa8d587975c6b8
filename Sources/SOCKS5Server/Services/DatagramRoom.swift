internal import SOCKS5Protocol

/// Where a worker receives datagrams, a batch at a time: each is sent on or copied before the next batch comes.
///
/// The payload of an answer stays where it is, and gets its header in front. For the first datagram there is room of
/// its own; each other one has the end of the 64 KiB of the one before, which that doesn't need if it can be sent:
/// a payload that leaves room for a header has at most 65,507 bytes.
///
/// - Ownership: the worker's. What is returned is valid until the next batch is received. Memory that no datagram
///   has touched costs nothing.
final class DatagramRoom {
    private static let headroom = 32
    /// For 20 datagrams of any length.
    private static let room = 20 << 16

    private let memory = UnsafeMutableRawBufferPointer.allocate(
        byteCount: headroom + room,
        alignment: headroom
    )

    var receiving: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[Self.headroom...])
    }

    /// A datagram that was received, behind a header, whose destination must be an address.
    func put(_ header: DatagramHeader, before datagram: UnsafeMutableRawBufferPointer)
        -> UnsafeRawBufferPointer
    {
        guard let payload = datagram.baseAddress, let first = receiving.baseAddress, payload >= first else {
            preconditionFailure("a datagram from elsewhere")
        }
        let length = header.encodedLength
        let front = UnsafeMutableRawBufferPointer(start: payload - length, count: length).bindMemory(
            to: UInt8.self
        )
        var output = OutputSpan(buffer: front, initializedCount: 0)
        header.encode(to: &output)
        _ = output.finalize(for: front)
        return UnsafeRawBufferPointer(start: payload - length, count: length + datagram.count)
    }

    deinit {
        memory.deallocate()
    }
}
