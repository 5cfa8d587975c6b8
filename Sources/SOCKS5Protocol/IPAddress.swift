/// An IPv4 or IPv6 address, without a zone.
public enum IPAddress: Hashable, Sendable, CustomStringConvertible {
    case ipv4(IPv4Address)
    case ipv6(IPv6Address)

    /// Parses `192.0.2.1` or `2001:db8::1` (RFC 4291 section 2.2).
    ///
    /// - Returns: `nil` for anything else: a name, a zone, brackets, a port, or IPv4 with fewer than four parts or a
    ///   leading zero.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        if let address = IPv4Address(bytes) {
            self = .ipv4(address)
        } else if let address = IPv6Address(bytes) {
            self = .ipv6(address)
        } else {
            return nil
        }
    }

    /// The IPv4 address in an IPv4-mapped address (RFC 4291 section 2.5.5.2); any other address unchanged.
    public var unmapped: IPAddress {
        if case .ipv6(let address) = self, let inner = address.mappedIPv4 { return .ipv4(inner) }
        return self
    }

    /// The address that Linux really connects to: loopback for the unspecified address, and the IPv4 address for a
    /// mapped one. Rules must judge this form, otherwise they would judge a different address from the one that is
    /// dialled.
    public var dialled: IPAddress {
        switch unmapped {
        case .ipv4(.any): .ipv4(.loopback)
        case .ipv6(.any): .ipv6(.loopback)
        case let address: address
        }
    }

    public enum Family: String, Sendable, CaseIterable {
        case ipv4 = "IPv4"
        case ipv6 = "IPv6"
    }

    public var family: Family {
        switch self {
        case .ipv4: .ipv4
        case .ipv6: .ipv6
        }
    }

    /// 0.0.0.0 or ::.
    public var isUnspecified: Bool { self == .ipv4(.any) || self == .ipv6(.any) }

    /// 127.0.0.0/8 or ::1.
    public var isLoopback: Bool {
        switch self {
        case .ipv4(let address): address.rawValue >> 24 == 127
        case .ipv6(let address): address == .loopback
        }
    }

    /// 224.0.0.0/4, ff00::/8, and the IPv4 broadcast address.
    public var isMulticast: Bool {
        switch self {
        case .ipv4(let address): address.rawValue >> 28 == 0xe || address.rawValue == .max
        case .ipv6(let address): address.high >> 56 == 0xff
        }
    }

    /// `192.0.2.1` or `2001:db8::1`.
    public var description: String {
        switch self {
        case .ipv4(let address): address.description
        case .ipv6(let address): address.description
        }
    }

    /// `192.0.2.1:80` or `[2001:db8::1]:80`.
    public func description(port: UInt16) -> String {
        family == .ipv6 ? "[\(self)]:\(port)" : "\(self):\(port)"
    }
}

extension [IPAddress] {
    /// The first family that occurs more than once.
    package var familyOfTwo: IPAddress.Family? {
        IPAddress.Family.allCases.first { family in count { $0.family == family } > 1 }
    }
}
