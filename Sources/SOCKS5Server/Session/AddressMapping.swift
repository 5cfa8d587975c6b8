internal import SOCKS5Protocol
internal import UVLoop

extension SocketAddress {
    /// The address that a destination is, without asking anyone. `nil`: a name to be looked up.
    ///
    /// Clients send addresses as names too: Chromium `::1`, others `[::1]`.
    init?(_ destination: Destination) {
        switch destination.host {
        case .ipv4(let address):
            self.init(host: .ipv4(address.rawValue), port: destination.port)
        case .ipv6(let address):
            self.init(
                host: .ipv6(high: address.high, low: address.low, scope: 0),
                port: destination.port
            )
        case .name(let name):
            var text = Substring(name.description)
            if text.hasPrefix("[") && text.hasSuffix("]") { text = text.dropFirst().dropLast() }
            self.init(numeric: String(text), port: destination.port)
        }
    }
}

extension SocketAddress {
    /// The IPv4 address that an IPv4-mapped one stands for (RFC 4291 section 2.5.5.2); any other as it is.
    var unmapped: SocketAddress {
        switch host {
        case .ipv6(0, let low, _) where low >> 32 == 0xffff:
            SocketAddress(host: .ipv4(UInt32(truncatingIfNeeded: low)), port: port)
        case .ipv4, .ipv6:
            self
        }
    }
}

extension Destination {
    /// As a bound address; an IPv4-mapped one is IPv4 to the client.
    init(_ address: SocketAddress) {
        let host: Host =
            switch address.unmapped.host {
            case .ipv4(let bits): .ipv4(IPv4Address(rawValue: bits))
            case .ipv6(let high, let low, _): .ipv6(IPv6Address(high: high, low: low))
            }
        self.init(host: host, port: address.port)
    }
}
