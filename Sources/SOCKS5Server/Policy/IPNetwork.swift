internal import UVLoop

/// An IPv4 or IPv6 network, `10.0.0.0/8` or `2001:db8::/32`; or one address, as a network of its own.
///
/// IPv4-mapped addresses are IPv4 ones here, as everywhere: `::ffff:10.0.0.0/104` is `10.0.0.0/8`, and no IPv6
/// network has IPv4 addresses in it, not even `::/0`.
public struct IPNetwork: Sendable, Hashable, CustomStringConvertible {
    enum Prefix: Sendable, Hashable {
        /// The first address, and how many of its bits all the others share.
        case ipv4(UInt32, Int)
        case ipv6(UInt128, Int)
    }

    let prefix: Prefix

    /// Parses `10.0.0.0/8`, `2001:db8::/32`, or an address alone.
    ///
    /// - Throws: ``ProxyServerError/Code/invalidConfiguration``; where bits are set behind the length, which is
    ///   mostly a slip, the message has the network that was probably meant.
    public init(parsing text: String) throws(ProxyServerError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let hostText = parts.first, !hostText.contains("%"),
            let address = SocketAddress(numeric: String(hostText), port: 0),
            let length = Self.length(parts.dropFirst().first, of: address)
        else {
            throw ProxyServerError(
                .invalidConfiguration,
                "'\(text.escapedForOneLine)' is not a network; expected ADDRESS/LENGTH or an address, "
                    + "as 10.0.0.0/8 or 2001:db8::/32"
            )
        }
        let network = IPNetwork(address.host, length: length)
        guard network.prefix == Self.prefix(of: address.host, length) else {
            throw ProxyServerError(
                .invalidConfiguration,
                "'\(text.escapedForOneLine)' has bits set behind its length; expected \(network), "
                    + "or \(address.hostText) alone for one address"
            )
        }
        self = network
    }

    /// The network of `length` bits around an address.
    init(_ host: SocketAddress.Host, length: Int) {
        switch Self.prefix(of: host, length) {
        case .ipv4(let bits, let length):
            prefix = .ipv4(length == 0 ? 0 : bits & (.max << (32 - length)), length)
        case .ipv6(let bits, let length):
            prefix = .ipv6(length == 0 ? 0 : bits & (.max << (128 - length)), length)
        }
    }

    /// The host as it is written, IPv4 where it is mapped and the length allows it.
    private static func prefix(of host: SocketAddress.Host, _ length: Int) -> Prefix {
        switch host {
        case .ipv4(let bits):
            return .ipv4(bits, length)
        case .ipv6(let high, let low, _):
            let isMapped = high == 0 && low >> 32 == 0xffff && length >= 96
            if isMapped { return .ipv4(UInt32(truncatingIfNeeded: low), length - 96) }
            return .ipv6(UInt128(high) << 64 | UInt128(low), length)
        }
    }

    /// All bits where no length was written.
    private static func length(_ digits: Substring?, of address: SocketAddress) -> Int? {
        let width = address.isIPv6 ? 128 : 32
        guard let digits else { return width }
        guard (1...3).contains(digits.utf8.count), digits.allSatisfy({ $0.isASCII && $0.isNumber }),
            let length = Int(digits), length <= width
        else { return nil }
        return length
    }

    /// `10.0.0.0/8`, also where it is one address.
    public var description: String {
        switch prefix {
        case .ipv4(let bits, let length):
            "\(SocketAddress(host: .ipv4(bits), port: 0).hostText)/\(length)"
        case .ipv6(let bits, let length):
            "\(SocketAddress(host: .ipv6(bits), port: 0).hostText)/\(length)"
        }
    }
}

extension SocketAddress.Host {
    static func ipv6(_ bits: UInt128) -> SocketAddress.Host {
        .ipv6(high: UInt64(truncatingIfNeeded: bits >> 64), low: UInt64(truncatingIfNeeded: bits), scope: 0)
    }
}
