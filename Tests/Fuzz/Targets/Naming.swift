import Glibc
import SOCKS5Protocol

/// Properties of the target that is made from the bytes of a name: all later readers interpret it in the same way.
enum Naming {
    static func check(_ input: [UInt8]) throws(Violation) {
        try checkName(input)
        guard let domain = DomainName(input) else { return }
        let target = Target(Destination(host: .name(domain), port: 80))
        switch target {
        case .name(let name, _): try checkTarget(name, input)
        case .address(let address, _):
            try require(address.dialled == address, "\(address) isn't in the form that is dialled")
            try checkAddress(address)
        case nil: break
        }
        // A resolver accepts more spellings of addresses than RFC 1928; the rules must see the same address.
        guard let resolved = numericAddress(input) else { return }
        if case .name(let name, _) = target {
            throw Violation(description: "\(name) is \(resolved) to glibc")
        }
        if case .address(let address, _) = target {
            try require(resolved.dialled == address, "\(resolved) to glibc, \(address) to us")
        }
    }

    private static func checkName(_ input: [UInt8]) throws(Violation) {
        guard let name = HostName(input) else { return }
        let text = name.description
        try require(HostName(text) == name, "\(text) isn't a name again")
        try require(!text.isEmpty && !text.hasSuffix("."), "\(text) ends with a dot, or is empty")
        let alphabet = Set("abcdefghijklmnopqrstuvwxyz0123456789-_.".utf8)
        try require(text.utf8.allSatisfy(alphabet.contains), "\(text) has more than names have")
        try require(
            HostName(input + [UInt8(ascii: ".")]) == name || input.count == 255
                || input.last == UInt8(ascii: "."),
            "a dot behind \(text) makes another name of it"
        )
    }

    private static func checkTarget(_ name: HostName, _ input: [UInt8]) throws(Violation) {
        try require(HostName(input) == name, "\(name) isn't what the bytes are as a name")
        try require(numericAddress(Array(name.description.utf8)) == nil, "\(name) is an address to glibc")
    }

    /// Written as text and read again, it is the same address.
    private static func checkAddress(_ address: IPAddress) throws(Violation) {
        let written = DomainName(Array(address.description.utf8))
        let again = written.flatMap { Target(Destination(host: .name($0), port: 80)) }
        try require(
            again == .address(address, port: 80),
            "\(address) is \(String(describing: again)) when written out"
        )
    }

    /// The address that glibc reads from a text without a lookup.
    private static func numericAddress(_ bytes: [UInt8]) -> IPAddress? {
        guard !bytes.contains(0) else { return nil }
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(String(decoding: bytes, as: UTF8.self), nil, &hints, &found) == 0, let found else {
            return nil
        }
        defer { freeaddrinfo(found) }
        guard let address = found.pointee.ai_addr else { return nil }
        let raw = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            let host = raw.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr
            return .ipv4(IPv4Address(rawValue: UInt32(bigEndian: host)))
        case AF_INET6:
            var host = raw.loadUnaligned(as: sockaddr_in6.self).sin6_addr
            return withUnsafeBytes(of: &host) { bytes in
                let high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
                let low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                return .ipv6(IPv6Address(high: high, low: low))
            }
        default:
            return nil
        }
    }
}
