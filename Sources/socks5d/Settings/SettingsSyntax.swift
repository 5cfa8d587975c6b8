internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

// The syntax of addresses, users and rules, mostly by the server's own parsers.

extension Syntax<ListenAddress> {
    static var listenAddress: Syntax {
        Syntax(expected: "ADDRESS:PORT, unix:PATH or systemd:NAME", parsing: ListenAddress.init(parsing:))
    }
}

extension Syntax<IPNetwork> {
    /// An address or a prefix.
    static var egressAddress: Syntax {
        var syntax = Syntax(expected: "an address or a prefix, as 192.0.2.1") {
            try? IPNetwork(parsing: $0)
        } write: {
            $0.addressOrPrefix
        }
        syntax.explain = { text in
            if text.contains("/") { return network.explain(text) }
            return "'\(text.escapedForOneLine)' is not an address to connect from; "
                + "expected one without a port, as 192.0.2.1, or a prefix, as 2001:db8::/64"
        }
        return syntax
    }
}

extension Syntax<IPAddress> {
    static var advertisedAddress: Syntax {
        Syntax(expected: "an address, as 192.0.2.1") { text throws(ConfigurationError) in
            if let address = IPAddress(text)?.unmapped, !address.isUnspecified, !address.isMulticast {
                return address
            }
            throw ConfigurationError(
                "'\(text.escapedForOneLine)' is not an address to advertise; "
                    + "expected the address that others reach, as 192.0.2.1 or 2001:db8::1"
            )
        }
    }
}

extension Syntax<GuardException> {
    static var guardException: Syntax {
        Syntax(expected: "private, all or a network", parsing: GuardException.init(parsing:))
    }
}

extension Syntax<IPNetwork> {
    static var network: Syntax {
        Syntax(expected: "a network, as 10.0.0.0/8", parsing: IPNetwork.init(parsing:))
    }
}

extension Syntax<DomainPattern> {
    static var domain: Syntax {
        Syntax(expected: "a domain, as .example.com", parsing: DomainPattern.init(parsing:))
    }
}

extension Syntax<SOCKSCommand> {
    static var command: Syntax {
        let words = ["connect": SOCKSCommand.connect, "bind": .bind, "udp-associate": .udpAssociate]
        return Syntax(
            expected: "connect, bind or udp-associate",
            form: .words(["connect", "bind", "udp-associate"])
        ) {
            words[$0.lowercased()]
        } write: { command in
            words.first { $0.value == command }?.key ?? ""
        }
    }
}

extension Syntax<String> {
    static var path: Syntax {
        Syntax(expected: "a file's path") { $0.isEmpty ? nil : $0 }
    }
}

extension Syntax<LogPlace> {
    static var logPlace: Syntax {
        Syntax(expected: "a file's path, -, syslog or syslog:SOCKET") {
            LogPlace(parsing: $0)
        } write: {
            $0.text
        }
    }
}

extension Syntax<[UInt8]> {
    /// A user's name (RFC 1929).
    static var name: Syntax {
        Syntax(expected: "a name of 1 to 255 bytes") { text in
            (1...255).contains(text.utf8.count) ? Array(text.utf8) : nil
        } write: {
            String(decoding: $0, as: UTF8.self)
        }
    }

    static var password: Syntax {
        Syntax(expected: "a password of 1 to 255 bytes") { text in
            (1...255).contains(text.utf8.count) ? Array(text.utf8) : nil
        } write: { _ in
            ""
        }
    }
}

extension Syntax<PasswordHash> {
    static var passwordHash: Syntax {
        let expected = "a hash by 'socks5d hash-password'"
        var syntax = Syntax(expected: expected, parsing: PasswordHash.init(parsing:))
        let explain = syntax.explain
        syntax.explain = { text in explain(text).map { "\($0); expected \(expected)" } }
        return syntax
    }
}

extension Syntax<Credentials> {
    /// `NAME:PASSWORD`; the name ends at the first colon.
    static var login: Syntax {
        Syntax(expected: "NAME:PASSWORD with 1 to 255 bytes each") { text in
            let parts = text.utf8.split(
                separator: UInt8(ascii: ":"),
                maxSplits: 1,
                omittingEmptySubsequences: false
            )
            guard parts.count == 2, parts.allSatisfy({ (1...255).contains($0.count) }) else { return nil }
            return Credentials(username: Array(parts[0]), password: Array(parts[1]))
        } write: { _ in
            ""
        }
    }
}

extension Complaint {
    static func ofListening(on addresses: [ListenAddress]) -> Complaint? {
        if addresses.isEmpty { return Complaint(what: " is an empty list", expected: "at least one address") }
        for (index, address) in addresses.enumerated() {
            guard let earlier = addresses[..<index].first(where: { $0.overlaps(address) }) else { continue }
            if earlier == address { return Complaint(what: " has \(address) twice", expected: "it once") }
            let wide = earlier.asSeenFromHere == earlier ? address : earlier
            return Complaint(
                what: " has \(earlier) and \(address), which overlap",
                expected: "\(wide) alone, which takes both, or another port"
            )
        }
        return nil
    }

    static func ofEgress(_ addresses: [IPNetwork]) -> Complaint? {
        EgressAddresses.fault(in: addresses).map { Complaint(what: " has \($0.what)", expected: $0.expected) }
    }

    static func secondOfAFamily(_ addresses: [IPAddress]) -> Complaint? {
        addresses.familyOfTwo.map { family in
            Complaint(what: " has two \(family.rawValue) addresses", expected: "one of each family")
        }
    }
}

extension Syntax<UnixTime> {
    /// The beginning of a day, in UTC.
    static var day: Syntax {
        Syntax(expected: "a day, as 2027-01-31", form: .pattern("[0-9]{4}-[0-9]{2}-[0-9]{2}")) { text in
            UTCDay(parsing: Array(text.utf8)).flatMap {
                $0.seconds > 0 ? UnixTime(secondsSince1970: Int64($0.seconds)) : nil
            }
        } write: {
            UTCDay(seconds: Int($0.secondsSince1970)).description
        }
    }
}
