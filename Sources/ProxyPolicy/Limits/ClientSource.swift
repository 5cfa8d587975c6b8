package import SOCKS5Protocol

/// Whom limits count as one: an IPv4 address, the /64 that an IPv6 address is in, which is the least that anyone is
/// given (RFC 6177), or all processes of this machine.
package struct ClientSource: Hashable, Sendable {
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
}
