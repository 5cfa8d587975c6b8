internal import SOCKS5Protocol
internal import UVLoop

// Converts between the addresses of the protocol and those of the loop.

extension IPAddress {
    init(_ host: SocketAddress.Host) {
        switch host {
        case .ipv4(let bits): self = .ipv4(IPv4Address(rawValue: bits))
        case .ipv6(let high, let low, _): self = .ipv6(IPv6Address(high: high, low: low))
        }
    }
}

extension SocketAddress {
    init(_ address: IPAddress, port: UInt16) {
        switch address {
        case .ipv4(let address): self.init(host: .ipv4(address.rawValue), port: port)
        case .ipv6(let address):
            self.init(host: .ipv6(high: address.high, low: address.low, scope: 0), port: port)
        }
    }

    /// With the address that Linux really connects to, see ``IPAddress/dialled``. The zone stays.
    var dialled: SocketAddress {
        let address = IPAddress(host)
        let dialled = address.dialled
        return dialled == address ? self : SocketAddress(dialled, port: port)
    }
}

extension Peer {
    /// The peer of a connection that the loop has accepted.
    init(_ address: SocketAddress) {
        self.init(IPAddress(address.host), port: address.port)
    }
}

extension Destination {
    /// A bound address for replies.
    init(_ address: SocketAddress) {
        let host: Host =
            switch address.host {
            case .ipv4(let bits): .ipv4(IPv4Address(rawValue: bits))
            case .ipv6(let high, let low, _): .ipv6(IPv6Address(high: high, low: low))
            }
        self.init(host: host, port: address.port)
    }
}
