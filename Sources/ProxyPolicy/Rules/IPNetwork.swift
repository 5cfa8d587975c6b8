public import SOCKS5Protocol
internal import Text

/// An IPv4 or IPv6 network, `10.0.0.0/8` or `2001:db8::/32`; or a single address as a network.
///
/// IPv4-mapped addresses count as IPv4 here, as everywhere: `::ffff:10.0.0.0/104` is `10.0.0.0/8`, and no IPv6 network
/// contains IPv4 addresses, not even `::/0`.
public struct IPNetwork: Sendable, Hashable, CustomStringConvertible {
    package enum Prefix: Sendable, Hashable {
        /// The first address, and the number of leading bits that all the others share.
        case ipv4(UInt32, Int)
        case ipv6(UInt128, Int)
    }

    package let prefix: Prefix

    /// Parses `10.0.0.0/8`, `2001:db8::/32`, or an address without a length.
    ///
    /// - Throws: ``ConfigurationError``. If bits are set after the prefix length, which is usually a mistake, the
    ///   message suggests the network that was probably meant.
    public init(parsing text: String) throws(ConfigurationError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first.flatMap({ IPAddress($0) }),
            let length = Self.length(parts.dropFirst().first, of: address)
        else {
            throw ConfigurationError(
                "'\(text.escapedForOneLine)' is not a network; expected ADDRESS/LENGTH or an address, "
                    + "as 10.0.0.0/8 or 2001:db8::/32"
            )
        }
        let network = IPNetwork(address, length: length)
        guard network.prefix == Self.prefix(of: address, length) else {
            throw ConfigurationError(
                "'\(text.escapedForOneLine)' has bits set behind its length; expected \(network), "
                    + "or \(address) alone for one address"
            )
        }
        self = network
    }

    /// A single address; a mapped one becomes its IPv4 address.
    public init(_ address: IPAddress) {
        self.init(address.unmapped, length: address.unmapped.family == .ipv6 ? 128 : 32)
    }

    /// Whether it contains an address. An IPv4-mapped address counts as IPv4.
    public func contains(_ address: IPAddress) -> Bool {
        switch (prefix, address.unmapped) {
        case (.ipv4(let bits, let length), .ipv4(let address)):
            length == 0 || (bits ^ address.rawValue) >> (32 - length) == 0
        case (.ipv6(let bits, let length), .ipv6(let address)):
            length == 0 || (bits ^ address.bits) >> (128 - length) == 0
        case (.ipv4, .ipv6), (.ipv6, .ipv4):
            false
        }
    }

    /// The network of `length` bits around an address.
    package init(_ address: IPAddress, length: Int) {
        switch Self.prefix(of: address, length) {
        case .ipv4(let bits, let length):
            prefix = .ipv4(length == 0 ? 0 : bits & (.max << (32 - length)), length)
        case .ipv6(let bits, let length):
            prefix = .ipv6(length == 0 ? 0 : bits & (.max << (128 - length)), length)
        }
    }

    /// The address as it is written, or as IPv4 if it is mapped and the length allows that.
    private static func prefix(of address: IPAddress, _ length: Int) -> Prefix {
        switch address {
        case .ipv4(let address):
            return .ipv4(address.rawValue, length)
        case .ipv6(let address):
            if length >= 96, let inner = address.mappedIPv4 { return .ipv4(inner.rawValue, length - 96) }
            return .ipv6(address.bits, length)
        }
    }

    /// All bits if no length was written.
    private static func length(_ digits: Substring?, of address: IPAddress) -> Int? {
        let width = address.family == .ipv6 ? 128 : 32
        guard let digits else { return width }
        guard (1...3).contains(digits.utf8.count), digits.allSatisfy({ $0.isASCII && $0.isNumber }),
            let length = Int(digits), length <= width
        else { return nil }
        return length
    }

    /// Whether it is a single address.
    package var isSingle: Bool {
        switch prefix {
        case .ipv4(_, let length): length == 32
        case .ipv6(_, let length): length == 128
        }
    }

    var first: IPAddress {
        switch prefix {
        case .ipv4(let bits, _): .ipv4(IPv4Address(rawValue: bits))
        case .ipv6(let bits, _): .ipv6(IPv6Address(bits: bits))
        }
    }

    /// `10.0.0.0/8`, or `10.0.0.1` if it is a single address.
    package var addressOrPrefix: String { isSingle ? first.description : description }

    /// `10.0.0.0/8`, also for a single address.
    public var description: String {
        switch prefix {
        case .ipv4(let bits, let length):
            "\(IPv4Address(rawValue: bits))/\(length)"
        case .ipv6(let bits, let length):
            "\(IPv6Address(bits: bits))/\(length)"
        }
    }
}

extension IPv6Address {
    /// All 128 bits in host order.
    var bits: UInt128 { UInt128(high) << 64 | UInt128(low) }

    init(bits: UInt128) {
        self.init(high: UInt64(truncatingIfNeeded: bits >> 64), low: UInt64(truncatingIfNeeded: bits))
    }
}
