/// The destination of a request, or the bound address of an answer: ATYP, address and port (RFC 1928 section 5).
public struct Destination: Hashable, Sendable, CustomStringConvertible {
    public enum Host: Hashable, Sendable {
        case ipv4(IPv4Address)
        case ipv6(IPv6Address)
        case name(DomainName)
    }

    public var host: Host
    public var port: UInt16

    public init(host: Host, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Whether the host is 0.0.0.0 or ::, also mapped or spelt as a name. It stands for any address, or for none.
    public var isUnspecified: Bool {
        switch host {
        case .ipv4(let address): address == .any
        case .ipv6(let address): IPAddress.ipv6(address).unmapped.isUnspecified
        case .name(let name): Target.address(spelledBy: name)?.unmapped.isUnspecified ?? false
        }
    }

    /// The same destination, but with an address instead of a name that spells one.
    var undisguised: Destination {
        guard case .name(let name) = host else { return self }
        switch Target.address(spelledBy: name) {
        case .ipv4(let address): return Destination(host: .ipv4(address), port: port)
        case .ipv6(let address): return Destination(host: .ipv6(address), port: port)
        case nil: return self
        }
    }

    /// 0.0.0.0:0, as in every failure response.
    public static let unspecified = Destination(host: .ipv4(.any), port: 0)

    /// `192.0.2.1:80`, `[2001:db8::1]:80` or `example.com:80`. A name with a colon is an IPv6 address that some clients
    /// send as a name, and gets brackets too.
    public var description: String {
        switch host {
        case .ipv4(let address): "\(address):\(port)"
        case .ipv6(let address): "[\(address)]:\(port)"
        case .name(let name) where name.description.contains(":") && !name.description.hasPrefix("["):
            "[\(name)]:\(port)"
        case .name(let name): "\(name):\(port)"
        }
    }

    /// ATYP (RFC 1928 section 5).
    private enum AddressType: UInt8 {
        case ipv4 = 0x01
        case domainName = 0x03
        case ipv6 = 0x04
    }

    init?(decoding bytes: RawSpan, at cursor: inout ByteCursor) throws(MalformedMessage) {
        guard let type = cursor.readByte(of: bytes) else { return nil }
        switch AddressType(rawValue: type) {
        case .ipv4:
            guard let bits = cursor.readInteger(UInt32.self, of: bytes) else { return nil }
            host = .ipv4(IPv4Address(rawValue: bits))
        case .ipv6:
            guard let high = cursor.readInteger(UInt64.self, of: bytes),
                let low = cursor.readInteger(UInt64.self, of: bytes)
            else {
                return nil
            }
            host = .ipv6(IPv6Address(high: high, low: low))
        case .domainName:
            guard let bytes = cursor.readCountedBytes(of: bytes) else { return nil }
            guard let name = DomainName(bytes) else { throw .badDomainName }
            host = .name(name)
        case nil:
            throw .unknownAddressType(type)
        }
        guard let port = cursor.readInteger(UInt16.self, of: bytes) else { return nil }
        self.port = port
    }

    /// The number of bytes that ``encode(to:)`` appends.
    var encodedLength: Int {
        switch host {
        case .ipv4: 7
        case .ipv6: 19
        case .name(let name): 4 + name.description.utf8.count
        }
    }

    var encoded: [UInt8] { [UInt8](capacity: encodedLength) { encode(to: &$0) } }

    func encode(to bytes: inout OutputSpan<UInt8>) {
        switch host {
        case .ipv4(let address):
            bytes.append(AddressType.ipv4.rawValue)
            bytes.append(bigEndian: address.rawValue)
        case .ipv6(let address):
            bytes.append(AddressType.ipv6.rawValue)
            bytes.append(bigEndian: address.high)
            bytes.append(bigEndian: address.low)
        case .name(let name):
            bytes.append(AddressType.domainName.rawValue)
            bytes.append(UInt8(name.description.utf8.count))
            for byte in name.description.utf8 { bytes.append(byte) }
        }
        bytes.append(bigEndian: port)
    }
}

extension OutputSpan<UInt8> {
    fileprivate mutating func append(bigEndian number: some FixedWidthInteger) {
        let bits = UInt64(truncatingIfNeeded: number)
        var shift = UInt64(number.bitWidth)
        while shift > 0 {
            shift -= 8
            append(UInt8(truncatingIfNeeded: bits >> shift))
        }
    }
}
