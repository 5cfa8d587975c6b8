internal import SOCKS5Protocol

// Conclusions from rules before any request has come. Every answer is sound but not complete: `true` is certain,
// `false` may mean that nothing was found.

extension Rule {
    /// Whether this rule matches every request that another rule matches.
    package func covers(_ other: Rule) -> Bool {
        Self.criteria.allSatisfy { $0.covers(self, other) }
    }

    /// The most comparisons of values that ``covers(_:)`` makes.
    fileprivate func comparisons(with other: Rule) -> Int {
        Self.criteria.reduce(1) { $0 + ($1.count(self) ?? 0) * ($1.count(other) ?? 0) }
    }
}

extension [Rule] {
    /// The most comparisons of values for one question about rules: about ten milliseconds.
    private static let mostComparisons = 4_000_000

    /// The rules that never decide, because an earlier rule decides about everything they match; together with that
    /// rule. Both numbers from 0.
    ///
    /// O(n²) in rules and values up to a limit; pairs beyond the limit aren't checked.
    package func hidden() -> [(rule: Int, by: Int)] {
        var left = Self.mostComparisons
        return indices.compactMap { index in
            let earlier = self[..<index].firstIndex { earlier in
                // A rule that reports hides only later reports; all other rules still see its requests.
                guard earlier.action != .report || self[index].action == .report else { return false }
                let cost = earlier.comparisons(with: self[index])
                guard cost <= left else { return false }
                left -= cost
                return earlier.covers(self[index])
            }
            return earlier.map { (index, $0) }
        }
    }

    /// Whether a rule denies names, but no rule denies a client that sends the address of such a name.
    package func addressesPass(_ rule: Rule) -> Bool {
        guard rule.action == .deny, rule.domains != nil else { return false }
        var byAddress = rule
        byAddress.domains = nil
        byAddress.networks = rule.networks ?? IPNetwork.all
        let cost = reduce(0) { $0 + $1.comparisons(with: byAddress) }
        return cost <= Self.mostComparisons
            && first { $0.action != .report && $0.covers(byAddress) }?.action != .deny
    }
}

extension IPNetwork {
    /// Together these contain every address.
    fileprivate static let all = [
        IPNetwork(.ipv4(.any), length: 0), IPNetwork(.ipv6(.any), length: 0),
    ]

    func contains(_ other: IPNetwork) -> Bool {
        switch (prefix, other.prefix) {
        case (.ipv4(let bits, let length), .ipv4(let others, let longer)):
            length <= longer && (length == 0 || (bits ^ others) >> (32 - length) == 0)
        case (.ipv6(let bits, let length), .ipv6(let others, let longer)):
            length <= longer && (length == 0 || (bits ^ others) >> (128 - length) == 0)
        case (.ipv4, .ipv6), (.ipv6, .ipv4):
            false
        }
    }

    var length: Int {
        switch prefix {
        case .ipv4(_, let length), .ipv6(_, let length): length
        }
    }
}

extension PortRange {
    func contains(_ other: PortRange) -> Bool {
        lowest <= other.lowest && other.highest <= highest
    }

    /// The same ports in as few ranges as possible.
    static func union(_ ranges: [PortRange]) -> [PortRange] {
        ranges.sorted { $0.lowest < $1.lowest }.reduce(into: []) { merged, range in
            guard let last = merged.last, Int(range.lowest) <= Int(last.highest) + 1 else {
                return merged.append(range)
            }
            merged[merged.count - 1] = PortRange(last.lowest...Swift.max(last.highest, range.highest))
        }
    }
}

extension DomainPattern {
    /// Whether this pattern matches every name that another pattern matches.
    func contains(_ other: DomainPattern) -> Bool {
        if self == other { return true }
        let (suffix, kind) = key
        let (otherSuffix, otherKind) = other.key
        // Every name that the other pattern matches equals this name, or ends with a dot and this name.
        let isBelow = otherSuffix.hasSuffix(".\(suffix)")
        let isAll = description == "*"
        switch (kind, otherKind) {
        case (.below, _) where isAll: return true
        case (.within, _): return isBelow || otherSuffix == suffix
        case (.below, .below), (.below, .matching): return isBelow || otherSuffix == suffix
        case (.below, .exactly), (.below, .within): return isBelow
        case (.matching, .exactly):
            return Array(other.description.utf8).withUnsafeBufferPointer(DomainGlob(description).matches)
        case (.matching, .within), (.matching, .below), (.matching, .matching), (.exactly, _): return false
        }
    }
}
