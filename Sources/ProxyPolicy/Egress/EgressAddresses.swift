internal import SOCKS5Protocol

/// The source addresses of connections, by the family of their targets.
package struct EgressAddresses: Sendable {
    private let ipv4: AddressPool?
    private let ipv6: AddressPool?

    /// - Parameter networks: must be valid, see ``fault(in:)``.
    package init(_ networks: [IPNetwork]) {
        ipv4 = AddressPool(networks, isIPv6: false)
        ipv6 = AddressPool(networks, isIPv6: true)
    }

    package var isEmpty: Bool { ipv4 == nil && ipv6 == nil }

    /// Whether a family has more than one address.
    package var hasChoice: Bool { [ipv4, ipv6].contains { $0.map { $0.only == nil } ?? false } }

    /// `nil` if the family has no address.
    package func pool(isIPv6: Bool) -> AddressPool? { isIPv6 ? ipv6 : ipv4 }
}

// MARK: - Validation

extension EgressAddresses {
    /// The error in a list of addresses, and what was expected: the end of a message.
    package struct Fault {
        package let what: String
        package let expected: String
    }

    /// The limit exists because each connection may examine all entries of a list.
    private static let mostEntries = 256

    /// - Complexity: O(n²), with at most 256 entries.
    package static func fault(in networks: [IPNetwork]) -> Fault? {
        if networks.count > mostEntries {
            return Fault(
                what: "\(networks.count) addresses to connect from",
                expected: "at most \(mostEntries), or a prefix"
            )
        }
        for (index, network) in networks.enumerated() {
            if network.isTooWideForEgress {
                return Fault(
                    what: "\(network) to connect from",
                    expected: "a prefix of at least 8 bits (IPv4) or 16 bits (IPv6), of unicast addresses"
                )
            }
            guard let other = networks[..<index].first(where: { $0.overlaps(network) }) else { continue }
            return other == network
                ? Fault(what: "\(network.addressOrPrefix) twice to connect from", expected: "it once")
                : Fault(
                    what:
                        "\(other.addressOrPrefix) and \(network.addressOrPrefix) to connect from, which overlap",
                    expected: "each address once"
                )
        }
        return nil
    }

    package static func validate(_ networks: [IPNetwork]) throws(ConfigurationError) {
        if let fault = fault(in: networks) {
            throw ConfigurationError("\(fault.what); expected \(fault.expected)")
        }
    }
}

extension IPNetwork {
    fileprivate var isTooWideForEgress: Bool {
        guard !isSingle else { return false }
        return switch prefix {
        case .ipv4(_, let length): length < 8 || first.isMulticast
        case .ipv6(_, let length): length < 16 || first.isMulticast
        }
    }

}
