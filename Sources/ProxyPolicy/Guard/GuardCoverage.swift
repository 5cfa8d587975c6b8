extension [GuardException] {
    /// Whether the destination guard refuses every address of a network, even with these exceptions.
    package func keepClosed(_ network: IPNetwork) -> Bool {
        let isOpened = contains { exception in
            switch exception {
            case .all: true
            case .private: false
            case .network(let opened): opened.contains(network) || network.contains(opened)
            }
        }
        if isOpened { return false }
        func isClosed(_ treatment: SpecialNetworks.Treatment) -> Bool {
            switch treatment {
            case .denied(let reason): reason != .private || !contains(.private)
            // The embedded address decides.
            case .allowed, .wrapping: false
            }
        }
        var closest: (length: Int, treatment: SpecialNetworks.Treatment)?
        for (special, treatment) in SpecialNetworks.parsed {
            if special.contains(network) {
                if special.length >= closest?.length ?? 0 { closest = (special.length, treatment) }
            } else if network.contains(special), !isClosed(treatment) {
                return false
            }
        }
        return closest.map { isClosed($0.treatment) } ?? false
    }
}

extension IPNetwork {
    /// Whether the network is narrow enough to identify clients: it has no public address, or is at most an IPv4 /8 or
    /// an IPv6 /16, the widest that a single owner has. `0.0.0.0/0` isn't narrow enough.
    package var namesSomebody: Bool {
        switch prefix {
        case .ipv4(_, let length): length >= 8 || [GuardException]().keepClosed(self)
        case .ipv6(_, let length): length >= 16 || [GuardException]().keepClosed(self)
        }
    }
}

extension IPNetwork {
    /// Whether the two have an address in common.
    package func overlaps(_ other: IPNetwork) -> Bool { contains(other) || other.contains(self) }
}

extension SpecialNetworks {
    fileprivate static let parsed = all.compactMap { text, treatment in
        (try? IPNetwork(parsing: text)).map { (network: $0, treatment: treatment) }
    }
}
