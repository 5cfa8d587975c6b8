/// The target of a request or a datagram, in the one form that rules, dialling and logs use.
///
/// Made once from the client's bytes. After that there are no escapes, no unusual spellings of addresses, no addresses
/// disguised as names, and no mapped or unspecified addresses.
public enum Target: Hashable, Sendable, CustomStringConvertible {
    case address(IPAddress, port: UInt16)
    case name(HostName, port: UInt16)

    /// - Returns: `nil` if the destination is a name that can't be looked up.
    public init?(_ destination: Destination) {
        let port = destination.port
        switch destination.host {
        case .ipv4(let address): self = .address(IPAddress.ipv4(address).dialled, port: port)
        case .ipv6(let address): self = .address(IPAddress.ipv6(address).dialled, port: port)
        case .name(let name):
            if let address = Self.address(spelledBy: name) {
                self = .address(address.dialled, port: port)
            } else if let name = HostName(name.description) {
                self = .name(name, port: port)
            } else {
                return nil
            }
        }
    }

    /// The address that a name spells: Chromium sends `::1`, others `[::1]`, and resolvers read `0x7f.1` as 127.0.0.1.
    static func address(spelledBy name: DomainName) -> IPAddress? {
        let text = Array(name.description.utf8)
        if text.first == UInt8(ascii: "["), text.last == UInt8(ascii: "]") {
            return IPv6Address(Array(text.dropFirst().dropLast())).map { .ipv6($0) }
        }
        if let address = IPv6Address(text) { return .ipv6(address) }
        let withoutDot = text.last == UInt8(ascii: ".") ? Array(text.dropLast()) : text
        return IPv4Address(anySpelling: withoutDot).map { .ipv4($0) }
    }

    public var port: UInt16 {
        switch self {
        case .address(_, let port), .name(_, let port): port
        }
    }

    /// `192.0.2.1:80`, `[2001:db8::1]:80` or `example.com:80`.
    public var description: String {
        switch self {
        case .address(let address, let port): address.description(port: port)
        case .name(let name, let port): "\(name):\(port)"
        }
    }
}

extension Destination {
    /// The target as the destination of a request.
    public init(_ target: Target) {
        switch target {
        case .address(.ipv4(let address), let port): self.init(host: .ipv4(address), port: port)
        case .address(.ipv6(let address), let port): self.init(host: .ipv6(address), port: port)
        case .name(let name, let port): self.init(host: .name(DomainName(name)), port: port)
        }
    }
}

extension DomainName {
    fileprivate init(_ name: HostName) {
        description = name.description
    }
}
