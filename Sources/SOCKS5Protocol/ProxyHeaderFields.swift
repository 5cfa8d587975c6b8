/// The fields after the addresses of a PROXY header, version 2: each has a type, a length (2 bytes) and a value.
///
/// All except the checksum are skipped: names of virtual hosts or cloud endpoints mean nothing to a proxy.
enum ProxyHeaderFields {
    private static let checksumType: UInt8 = 0x03
    private static let checksumLength = 4

    /// - Parameters:
    ///   - bytes: from the header's first byte on.
    ///   - range: the fields. The header ends where they do.
    ///   - isLoose: bytes that aren't fields are ignored, since the end of the addresses isn't known.
    static func check(_ bytes: RawSpan, _ range: Range<Int>, isLoose: Bool) throws(MalformedProxyHeader) {
        var checksum: Range<Int>?
        var start = range.lowerBound
        while start < range.upperBound {
            guard let field = value(bytes, start..<range.upperBound) else {
                if isLoose { return }
                throw .badField
            }
            if bytes[start] == checksumType {
                guard checksum == nil, field.count == checksumLength else { throw .badChecksum }
                checksum = field
            }
            start = field.upperBound
        }
        guard let checksum else { return }
        let stated = checksum.reduce(UInt32(0)) { $0 << 8 | UInt32(bytes[$1]) }
        guard stated == crc32c(bytes, ..<range.upperBound, zeroing: checksum) else { throw .badChecksum }
    }

    /// The range of the value of the field at the front; `nil` if it doesn't fit.
    private static func value(_ bytes: RawSpan, _ rest: Range<Int>) -> Range<Int>? {
        let start = rest.lowerBound + 3
        guard start <= rest.upperBound else { return nil }
        let count = Int(bytes[start - 2]) << 8 | Int(bytes[start - 1])
        return count <= rest.upperBound - start ? start..<(start + count) : nil
    }

    /// CRC32C (RFC 9260 appendix A) of the header, with zeros in place of the checksum.
    ///
    /// Computed bit by bit, since few headers have a checksum and all are short.
    private static func crc32c(
        _ bytes: RawSpan,
        _ header: PartialRangeUpTo<Int>,
        zeroing checksum: Range<Int>
    ) -> UInt32 {
        var remainder = UInt32.max
        for index in 0..<header.upperBound {
            remainder ^= checksum.contains(index) ? 0 : UInt32(bytes[index])
            for _ in 0..<8 {
                remainder = remainder >> 1 ^ (remainder & 1 == 0 ? 0 : 0x82f6_3b78)
            }
        }
        return ~remainder
    }
}
