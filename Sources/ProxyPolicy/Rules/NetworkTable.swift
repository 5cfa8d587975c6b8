package import SOCKS5Protocol

/// Finds which of many networks contain an address, and the values of these networks.
///
/// Addresses must be ``IPAddress/unmapped``.
package struct NetworkTable: Sendable {
    private let ipv4: PrefixTable<UInt32>
    private let ipv6: PrefixTable<UInt128>

    /// O(n log n). A network may occur several times, each with a value.
    package init(_ networks: some Sequence<(network: IPNetwork, value: Int)>) {
        var short: [PrefixTable<UInt32>.Prefix] = []
        var long: [PrefixTable<UInt128>.Prefix] = []
        for (network, value) in networks {
            switch network.prefix {
            case .ipv4(let bits, let length): short.append(.init(bits: bits, length: length, value: value))
            case .ipv6(let bits, let length): long.append(.init(bits: bits, length: length, value: value))
            }
        }
        ipv4 = PrefixTable(short)
        ipv6 = PrefixTable(long)
    }

    /// Networks without values.
    package init(_ networks: some Sequence<IPNetwork>) {
        self.init(networks.lazy.map { (network: $0, value: 0) })
    }

    package var isEmpty: Bool { ipv4.isEmpty && ipv6.isEmpty }

    /// Calls `body` with the value of each network that contains the address, smaller networks first.
    @inline(__always)
    package func forEachValue(of address: IPAddress, _ body: (Int) -> Void) {
        switch address {
        case .ipv4(let address): ipv4.forEachValue(of: address.rawValue, body)
        case .ipv6(let address): ipv6.forEachValue(of: address.bits, body)
        }
    }

    /// The first value of the smallest network that contains the address.
    package func closest(to address: IPAddress) -> Int? {
        switch address {
        case .ipv4(let address): ipv4.closest(to: address.rawValue)
        case .ipv6(let address): ipv6.closest(to: address.bits)
        }
    }

    package func contains(_ address: IPAddress) -> Bool {
        switch address {
        case .ipv4(let address): ipv4.contains(address.rawValue)
        case .ipv6(let address): ipv6.contains(address.bits)
        }
    }
}
