internal import UVLoop

/// Whom limits count as one: an IPv4 address, or the /64 that an IPv6 address is in, which is the least that
/// anyone is given (RFC 6177).
struct ClientSource: Hashable, Sendable {
    private let host: SocketAddress.Host

    init(_ address: SocketAddress) {
        switch address.unmapped.host {
        case .ipv4(let bits): host = .ipv4(bits)
        case .ipv6(let high, _, let scope): host = .ipv6(high: high, low: 0, scope: scope)
        }
    }
}
