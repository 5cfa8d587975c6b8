/// A position in received bytes, from which a message is read.
///
/// Every read returns `nil` if bytes are missing, so that a message is either complete or not there yet. The bytes are
/// passed to each read, since types that hold a span have no stable syntax yet.
public struct ByteCursor: Sendable {
    /// The number of bytes that have been read.
    public private(set) var offset = 0

    public init() {}

    func remaining(in bytes: RawSpan) -> Int { bytes.byteCount - offset }

    mutating func readByte(of bytes: RawSpan) -> UInt8? {
        readInteger(UInt8.self, of: bytes)
    }

    /// A number in network byte order. Inlined, since a call takes longer than the read.
    @inline(__always)
    mutating func readInteger<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: Number.Type,
        of bytes: RawSpan
    ) -> Number? {
        let size = MemoryLayout<Number>.size
        guard remaining(in: bytes) >= size else { return nil }
        defer { offset += size }
        // Checks the bounds. It is unsafe only for types with invalid bit patterns, and integers have none.
        return Number(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: Number.self))
    }

    mutating func readBytes(_ count: Int, of bytes: RawSpan) -> [UInt8]? {
        guard remaining(in: bytes) >= count else { return nil }
        defer { offset += count }
        return (offset..<(offset + count)).map { bytes[$0] }
    }

    /// A length in one byte, followed by that many bytes.
    mutating func readCountedBytes(of bytes: RawSpan) -> [UInt8]? {
        guard let count = readByte(of: bytes) else { return nil }
        return readBytes(Int(count), of: bytes)
    }

    /// Bytes up to a zero, which is read too. `nil` if there is none yet.
    ///
    /// - Throws: `error` as soon as more than `limit` bytes have come without a zero.
    mutating func readTerminatedBytes(
        atMost limit: Int,
        orThrow error: MalformedMessage,
        of bytes: RawSpan
    ) throws(MalformedMessage) -> [UInt8]? {
        let last = min(offset + limit, bytes.byteCount - 1)
        var end = offset
        while end <= last, bytes[end] != 0 { end += 1 }
        guard end <= last else {
            if end > offset + limit { throw error }
            return nil
        }
        defer { offset += 1 }
        return readBytes(end - offset, of: bytes)
    }
}

extension RawSpan {
    /// Checks the bounds. `unsafeLoad` is unsafe only for types with invalid bit patterns, and `UInt8` has none.
    subscript(index: Int) -> UInt8 {
        unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self)
    }
}
