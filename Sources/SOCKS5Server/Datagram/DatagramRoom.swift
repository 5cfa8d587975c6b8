internal import SOCKS5Protocol

/// Where a worker receives datagrams, one after the other: each is sent on or copied before the next one comes.
///
/// In front there is room for the header that an answer gets, so that the payload stays where it is.
///
/// - Ownership: the worker's. What is returned is valid until the next datagram is received.
final class DatagramRoom {
    private static let headroom = 32
    /// More than any UDP datagram has.
    private static let longest = 65536

    private let memory = UnsafeMutableRawBufferPointer.allocate(
        byteCount: headroom + longest,
        alignment: headroom
    )

    var receiving: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory[Self.headroom...])
    }

    /// The datagram of so many bytes that was received.
    func received(_ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: memory[Self.headroom..<(Self.headroom + count)])
    }

    /// The same behind a header, whose destination must be an address.
    func received(_ count: Int, behind header: DatagramHeader) -> UnsafeRawBufferPointer {
        let start = Self.headroom - header.encodedLength
        let front = UnsafeMutableRawBufferPointer(rebasing: memory[start..<Self.headroom])
            .bindMemory(to: UInt8.self)
        var output = OutputSpan(buffer: front, initializedCount: 0)
        header.encode(to: &output)
        _ = output.finalize(for: front)
        return UnsafeRawBufferPointer(rebasing: memory[start..<(Self.headroom + count)])
    }

    deinit {
        memory.deallocate()
    }
}
