package import SOCKS5Protocol

/// A source, counted as one by limits: an IPv4 address, the /64 of an IPv6 address (the smallest network that is
/// assigned to anyone, RFC 6177), or all processes of this machine.
package struct ClientSource: Hashable, Sendable, CustomStringConvertible {
    private enum Kind: Hashable {
        case ipv4(UInt32)
        case ipv6(UInt64)
        case local
    }

    private let kind: Kind

    package init(_ peer: Peer) {
        switch peer {
        case .ip(.ipv4(let address), _): kind = .ipv4(address.rawValue)
        case .ip(.ipv6(let address), _): kind = .ipv6(address.high)
        case .local: kind = .local
        }
    }

    /// `192.0.2.1`, `2001:db8::/64` or `local`.
    package var description: String {
        switch kind {
        case .ipv4(let bits): "\(IPv4Address(rawValue: bits))"
        case .ipv6(let high): "\(IPv6Address(high: high, low: 0))/64"
        case .local: "local"
        }
    }
}
