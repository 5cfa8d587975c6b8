/// An IPv4 address.
public struct IPv4Address: Hashable, Sendable, CustomStringConvertible {
    /// The 32 bits in host order: 127.0.0.1 is `0x7f00_0001`.
    public var rawValue: UInt32

    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        rawValue = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
    }

    public static let any = IPv4Address(rawValue: 0)
    public static let loopback = IPv4Address(127, 0, 0, 1)

    /// `127.0.0.1`
    public var description: String {
        stride(from: 24, through: 0, by: -8).map { String(rawValue >> UInt32($0) & 0xff) }.joined(
            separator: "."
        )
    }
}

/// An IPv6 address.
public struct IPv6Address: Hashable, Sendable, CustomStringConvertible {
    /// The upper and lower 64 bits in host order: ::1 is `(0, 1)`.
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static let any = IPv6Address(high: 0, low: 0)
    public static let loopback = IPv6Address(high: 0, low: 1)

    /// The IPv4 address in an IPv4-mapped one, `::ffff:192.0.2.1` (RFC 4291 section 2.5.5.2).
    public var mappedIPv4: IPv4Address? {
        high == 0 && low >> 32 == 0xffff ? IPv4Address(rawValue: UInt32(truncatingIfNeeded: low)) : nil
    }

    /// In the form of RFC 5952: lower case, the longest run of zeros shortened.
    public var description: String {
        if let mappedIPv4 { return "::ffff:\(mappedIPv4)" }
        let groups = [high, low].flatMap { half in
            stride(from: 48, through: 0, by: -16).map { half >> UInt64($0) & 0xffff }
        }
        let text = { (range: Range<Int>) in
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard let zeros = Self.longestRunOfZeros(groups) else { return text(0..<8) }
        return text(0..<zeros.lowerBound) + "::" + text(zeros.upperBound..<8)
    }

    /// The first of the longest runs of at least two groups.
    private static func longestRunOfZeros(_ groups: [UInt64]) -> Range<Int>? {
        var longest = 0..<1
        var start = 0
        for index in 0..<8 {
            if groups[index] != 0 {
                start = index + 1
            } else if index + 1 - start > longest.count {
                longest = start..<(index + 1)
            }
        }
        return longest.count > 1 ? longest : nil
    }
}

/// A name as it appears in a message: 1 to 255 bytes of printable ASCII without spaces.
///
/// This is only its form on the wire: ``Target`` decides whether it names a host, an address or nothing.
public struct DomainName: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    /// `nil` if there are no bytes or more than 255, or if one of them is never part of a name. 255 is the most that a
    /// message can hold.
    public init?(_ bytes: [UInt8]) {
        guard (1...255).contains(bytes.count), bytes.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            return nil
        }
        description = String(decoding: bytes, as: UTF8.self)
    }

    public init?(_ text: String) {
        self.init(Array(text.utf8))
    }
}
