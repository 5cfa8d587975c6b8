/// A host, as a name or a numeric address, and a port.
package struct HostAndPort: CustomStringConvertible {
    package let host: String
    package let port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Parses `example.com:80`, `192.0.2.1:80` or `[2001:db8::1]:80`. `nil` for anything else.
    package init?(parsing text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = text[..<colon]
        let digits = text[text.index(after: colon)...]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = UInt16(digits), !host.isEmpty,
            host.contains(":") == isBracketed
        else { return nil }
        self.init(host: String(host), port: port)
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The destination for a request; `nil` if the host is neither a name nor an address.
    package var destination: Destination? {
        switch IPAddress(host) {
        case .ipv4(let address): return Destination(host: .ipv4(address), port: port)
        case .ipv6(let address): return Destination(host: .ipv6(address), port: port)
        case nil: return DomainName(host).map { Destination(host: .name($0), port: port) }
        }
    }
}

extension HostAndPort {
    /// The bound address in a response. `nil` for a name, which servers shouldn't send.
    package init?(_ destination: Destination) {
        switch destination.host {
        case .ipv4(let address): self.init(host: "\(address)", port: destination.port)
        case .ipv6(let address): self.init(host: "\(address)", port: destination.port)
        case .name: return nil
        }
    }
}
