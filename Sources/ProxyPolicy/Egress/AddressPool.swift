internal import Glibc
package import SOCKS5Protocol
internal import Synchronization

/// Addresses of one family to choose from: single addresses, and prefixes that are never enumerated.
///
/// Every address has the same probability, alone or in a prefix.
package final class AddressPool: Sendable {
    /// One entry of the list.
    private struct Part {
        let first: UInt128
        let count: UInt128
        /// The number of addresses of this part and all parts before it.
        let end: UInt128
        let isPrefix: Bool
        /// A hash of only its addresses, so that its position in the list doesn't matter.
        let hash: UInt64
    }

    package struct Choice: Sendable, Hashable {
        package let address: IPAddress
        /// Whether it comes from a prefix, so that it may not be assigned to any interface.
        package let isOfPrefix: Bool
    }

    /// The address, if it is the only one of the family.
    package let only: Choice?
    private let isIPv6: Bool
    private let parts: [Part]
    private let count: UInt128
    private let turns = Atomic<UInt64>(0)

    /// - Returns: `nil` if there is no address of the family.
    init?(_ networks: [IPNetwork], isIPv6: Bool) {
        var parts: [Part] = []
        var end: UInt128 = 0
        for network in networks where (network.first.family == .ipv6) == isIPv6 {
            let (first, count) = network.egressRange
            end += count
            var hash = NameHash()
            hash.combine(first)
            hash.combine(count)
            parts.append(
                Part(first: first, count: count, end: end, isPrefix: !network.isSingle, hash: hash.value)
            )
        }
        guard let first = parts.first else { return nil }
        self.isIPv6 = isIPv6
        self.parts = parts
        count = end
        only =
            end == 1
            ? Choice(address: Self.address(first.first, isIPv6: isIPv6), isOfPrefix: first.isPrefix) : nil
    }

    /// Any thread.
    ///
    /// - Complexity: O(n) in the entries of the list, regardless of the size of their prefixes.
    package func choose(_ choice: EgressChoice, for subject: Subject) -> Choice {
        if let settled = settled(choice, for: subject) { return settled }
        switch choice {
        case .random, .sameForUser, .sameForSessionID:
            return any()
        case .roundRobin:
            let turn = turns.wrappingAdd(1, ordering: .relaxed).oldValue
            return address(at: UInt128(turn) % count)
        case .incoming:
            return subject.reached.flatMap { result(of: $0) } ?? any()
        }
    }

    /// The address for all connections of the subject; `nil` if each connection gets its own.
    package func settled(_ choice: EgressChoice, for subject: Subject) -> Choice? {
        if let only { return only }
        return switch choice {
        case .sameForUser: address(for: NameHash(ofUser: subject))
        case .sameForSessionID: NameHash(ofSession: subject).map { address(for: $0) }
        case .random, .roundRobin, .incoming: nil
        }
    }

    private func any() -> Choice { address(at: .random(in: 0..<count)) }

    /// - Parameter place: its position among all addresses, from 0.
    private func address(at place: UInt128) -> Choice {
        var (low, high) = (0, parts.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if parts[middle].end > place { high = middle } else { low = middle + 1 }
        }
        let part = parts[low]
        return result(of: part, offset: place - (part.end - part.count))
    }

    /// Rendezvous hashing, weighted by the addresses of each part: removing a part moves only its own share, and a new
    /// part takes its share from all others.
    private func address(for name: NameHash) -> Choice {
        var best = (part: parts[0], score: -Double.infinity)
        for part in parts {
            let hash = NameHash.mixed(name.value ^ part.hash)
            let fraction = (Double(hash >> 11) + 0.5) * 0x1p-53
            let score = log(fraction) / Double(part.count)
            if score > best.score { best = (part, score) }
        }
        let part = best.part
        let high = NameHash.mixed(name.value &+ part.hash)
        let bits = UInt128(high) << 64 | UInt128(NameHash.mixed(high ^ name.value))
        return result(of: part, offset: bits % part.count)
    }

    private func result(of part: Part, offset: UInt128) -> Choice {
        Choice(address: Self.address(part.first + offset, isIPv6: isIPv6), isOfPrefix: part.isPrefix)
    }

    private func result(of address: IPAddress) -> Choice? {
        guard (address.family == .ipv6) == isIPv6 else { return nil }
        let bits = address.egressBits
        let part = parts.first { $0.first <= bits && bits - $0.first < $0.count }
        return part.map { result(of: $0, offset: bits - $0.first) }
    }

    private static func address(_ bits: UInt128, isIPv6: Bool) -> IPAddress {
        isIPv6
            ? .ipv6(IPv6Address(bits: bits))
            : .ipv4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: bits)))
    }
}

extension IPAddress {
    fileprivate var egressBits: UInt128 {
        switch self {
        case .ipv4(let address): UInt128(address.rawValue)
        case .ipv6(let address): address.bits
        }
    }
}

extension IPNetwork {
    /// The usable source addresses: without the network and broadcast address of an IPv4 network (a /31 has neither,
    /// RFC 3021), and without the first address of an IPv6 network, which its routers share (RFC 4291 section 2.6.1;
    /// not in a /127, RFC 6164).
    fileprivate var egressRange: (first: UInt128, count: UInt128) {
        switch prefix {
        case .ipv4(let bits, let length):
            let count = UInt128(1) << (32 - length)
            return length < 31 ? (UInt128(bits) + 1, count - 2) : (UInt128(bits), count)
        case .ipv6(let bits, let length):
            let count = UInt128(1) << (128 - length)
            return length < 127 ? (bits + 1, count - 1) : (bits, count)
        }
    }

    /// A usable source address.
    package var firstForEgress: IPAddress {
        let first = egressRange.first
        return switch prefix {
        case .ipv4: .ipv4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: first)))
        case .ipv6: .ipv6(IPv6Address(bits: first))
        }
    }
}
