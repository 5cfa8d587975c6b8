internal import UVLoop

/// Which of many networks an address is in, and the values that belong to them.
///
/// IPv4-mapped addresses are IPv4 ones; the zone of a link-local address makes no difference.
struct NetworkTable: Sendable {
    private let ipv4: PrefixTable<UInt32>
    private let ipv6: PrefixTable<UInt128>

    /// O(n log n). A network may come several times, with a value each.
    init(_ networks: some Sequence<(network: IPNetwork, value: Int)>) {
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

    /// The networks alone.
    init(_ networks: some Sequence<IPNetwork>) {
        self.init(networks.lazy.map { (network: $0, value: 0) })
    }

    var isEmpty: Bool { ipv4.isEmpty && ipv6.isEmpty }

    /// Calls `body` with the value of each network that the address is in, smaller networks first.
    @inline(__always)
    func forEachValue(of host: SocketAddress.Host, _ body: (Int) -> Void) {
        switch host.unmapped {
        case .ipv4(let bits): ipv4.forEachValue(of: bits, body)
        case .ipv6(let high, let low, _): ipv6.forEachValue(of: UInt128(high) << 64 | UInt128(low), body)
        }
    }

    /// The first value of the smallest network that the address is in.
    func closest(to host: SocketAddress.Host) -> Int? {
        switch host.unmapped {
        case .ipv4(let bits): ipv4.closest(to: bits)
        case .ipv6(let high, let low, _): ipv6.closest(to: UInt128(high) << 64 | UInt128(low))
        }
    }

    func contains(_ host: SocketAddress.Host) -> Bool {
        switch host.unmapped {
        case .ipv4(let bits): ipv4.contains(bits)
        case .ipv6(let high, let low, _): ipv6.contains(UInt128(high) << 64 | UInt128(low))
        }
    }
}

extension SocketAddress.Host {
    /// IPv4 where it is an IPv4-mapped address (RFC 4291 section 2.5.5.2).
    var unmapped: SocketAddress.Host { SocketAddress(host: self, port: 0).unmapped.host }
}
