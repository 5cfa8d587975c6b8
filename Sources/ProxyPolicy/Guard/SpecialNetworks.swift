internal import SOCKS5Protocol

/// Why the destination guard refuses an address.
package enum GuardReason: String, CaseIterable, Sendable {
    case unspecified, loopback, `private`, shared
    case linkLocal = "link-local"
    /// Cloud metadata, which may contain passwords.
    case metadata
    case multicast, documentation, reserved
    /// A listener of this proxy.
    case ownListener = "own listener"
}

/// The networks outside the public internet, by the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and
/// its updates), the IPv4 and IPv6 address space registries, and the documentation of clouds.
package enum SpecialNetworks {
    package enum Treatment: Sendable {
        case allowed
        case denied(GuardReason)
        case wrapping(Wrapping)
    }

    /// Where an IPv6 address embeds IPv4 addresses.
    package enum Wrapping: Sendable {
        /// The last 32 bits: IPv4-compatible (RFC 4291 section 2.5.5.1), IPv4-translated (RFC 2765), NAT64 (RFC 6052).
        case last
        /// The 32 bits after the first 16: 6to4 (RFC 3056).
        case sixToFour
        /// The server in the second 32 bits, and the client, with its bits inverted, in the last (RFC 4380 section 4).
        case teredo

        typealias Addresses = (first: IPAddress, second: IPAddress?)

        func addresses(in address: IPv6Address) -> Addresses {
            func ipv4(_ bits: UInt64) -> IPAddress {
                IPAddress.ipv4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: bits))).dialled
            }
            switch self {
            case .last: return (ipv4(address.low), nil)
            case .sixToFour: return (ipv4(address.high >> 16), nil)
            case .teredo: return (ipv4(address.high), ipv4(~address.low))
            }
        }
    }

    /// The IPv4 addresses embedded in an address, as they are dialled. `nil` if there are none.
    ///
    /// Compares numbers instead of using a table: it is called for each IPv6 address, even if there is no guard.
    static func wrapped(in address: IPv6Address) -> Wrapping.Addresses? {
        let (high, low) = (address.high, address.low)
        if high >> 48 == 0x2002 { return Wrapping.sixToFour.addresses(in: address) }
        if high >> 32 == 0x2001_0000 { return Wrapping.teredo.addresses(in: address) }
        let isTranslated = high == 0 && low >> 32 == 0xffff_0000
        let isCompatible = high == 0 && low >> 32 == 0 && low > 1
        let isNAT64 = high == 0x0064_ff9b_0000_0000 && low >> 32 == 0
        return isTranslated || isCompatible || isNAT64 ? Wrapping.last.addresses(in: address) : nil
    }

    /// The smallest network that contains an address decides; an IPv4 address in none of them is allowed.
    package static let all: [(network: String, treatment: Treatment)] = ipv4 + ipv6

    private static let ipv4: [(network: String, treatment: Treatment)] = [
        ("0.0.0.0/8", .denied(.unspecified)),  // this network, RFC 791; Linux takes 0.0.0.0 for loopback
        ("10.0.0.0/8", .denied(.private)),  // RFC 1918
        ("100.64.0.0/10", .denied(.shared)),  // carrier-grade NAT, RFC 6598
        ("127.0.0.0/8", .denied(.loopback)),  // RFC 1122
        ("168.63.129.16/32", .denied(.metadata)),  // Azure
        ("169.254.0.0/16", .denied(.linkLocal)),  // RFC 3927
        ("169.254.169.254/32", .denied(.metadata)),  // most clouds
        ("172.16.0.0/12", .denied(.private)),  // RFC 1918
        ("192.0.0.0/24", .denied(.reserved)),  // IETF protocol assignments, RFC 6890; Oracle's metadata
        ("192.0.2.0/24", .denied(.documentation)),  // RFC 5737
        ("192.88.99.0/24", .denied(.reserved)),  // 6to4 relays, deprecated, RFC 7526
        ("192.168.0.0/16", .denied(.private)),  // RFC 1918
        ("198.18.0.0/15", .denied(.reserved)),  // benchmarking, RFC 2544
        ("198.51.100.0/24", .denied(.documentation)),  // RFC 5737
        ("203.0.113.0/24", .denied(.documentation)),  // RFC 5737
        ("224.0.0.0/4", .denied(.multicast)),  // RFC 5771
        ("240.0.0.0/4", .denied(.reserved)),  // RFC 1112; 255.255.255.255 is broadcast, RFC 919
    ]

    /// IPv4-mapped addresses aren't listed: they are converted to IPv4 before this is used.
    private static let ipv6: [(network: String, treatment: Treatment)] = [
        // All public addresses are in 2000::/3 (RFC 4291 section 2.4). The rest is reserved, including discard-only
        // 100::/64 (RFC 6666) and the local-use NAT64 prefix 64:ff9b:1::/48 (RFC 8215); only the network that uses that
        // one knows where the IPv4 address is.
        ("::/0", .denied(.reserved)),
        ("2000::/3", .allowed),
        ("::/96", .wrapping(.last)),  // IPv4-compatible
        ("::/128", .denied(.unspecified)),
        ("::1/128", .denied(.loopback)),
        ("::ffff:0:0:0/96", .wrapping(.last)),  // IPv4-translated
        ("64:ff9b::/96", .wrapping(.last)),  // NAT64
        ("2001::/23", .denied(.reserved)),  // IETF protocol assignments, RFC 2928
        ("2001::/32", .wrapping(.teredo)),
        ("2001:db8::/32", .denied(.documentation)),  // RFC 3849
        ("2002::/16", .wrapping(.sixToFour)),
        ("3fff::/20", .denied(.documentation)),  // RFC 9637
        ("fc00::/7", .denied(.private)),  // RFC 4193
        ("fd00:ec2::/32", .denied(.metadata)),  // AWS
        ("fd20:ce::254/128", .denied(.metadata)),  // Google
        ("fe80::/10", .denied(.linkLocal)),  // RFC 4291
        ("fec0::/10", .denied(.private)),  // site-local, deprecated, RFC 3879
        ("ff00::/8", .denied(.multicast)),  // RFC 4291
    ]
}

extension IPAddress {
    /// Calls `body` for the address, then for the addresses embedded in it. A gateway extracts the IPv4 address from an
    /// IPv6 one, so rules and routes about that address apply too.
    @inline(__always)
    func firstAnswer<Answer>(_ ask: (IPAddress) -> Answer?) -> Answer? {
        if let answer = ask(self) { return answer }
        guard case .ipv6(let outer) = self, let inner = SpecialNetworks.wrapped(in: outer) else { return nil }
        return ask(inner.first) ?? inner.second.flatMap(ask)
    }
}
