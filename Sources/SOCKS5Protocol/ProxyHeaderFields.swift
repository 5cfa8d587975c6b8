/// What stands behind the addresses of a PROXY header, version 2: fields of a type, a length (2) and a value each.
///
/// Skipped, but for the checksum: the name of a virtual host or of a cloud's endpoint means nothing to a proxy.
enum ProxyHeaderFields {
    private static let checksumType: UInt8 = 0x03
    private static let checksumLength = 4

    /// - Parameters:
    ///   - bytes: from the header's first byte on.
    ///   - range: the fields. The header ends where they do.
    ///   - isLoose: bytes that are no fields mean nothing, since nobody says where the addresses end.
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

    /// Where the value of the field at the front is; `nil`: it doesn't fit.
    private static func value(_ bytes: RawSpan, _ rest: Range<Int>) -> Range<Int>? {
        let start = rest.lowerBound + 3
        guard start <= rest.upperBound else { return nil }
        let count = Int(bytes[start - 2]) << 8 | Int(bytes[start - 1])
        return count <= rest.upperBound - start ? start..<(start + count) : nil
    }

    /// CRC32C (RFC 9260 appendix A), of the header with zeros for the checksum itself.
    ///
    /// Bit by bit, since few headers have one and none is long.
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
