// Numeric addresses as text. Written here because a parser of the C library could read them differently: a text that
// one side takes for an address and the other for a name would slip past the rules.

extension IPv4Address {
    /// Parses `192.0.2.1`: four decimal numbers without leading zeros.
    init?(_ text: [UInt8]) {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0"),
                let number = part.number(radix: 10, atMost: 255)
            else { return nil }
            bits = bits << 8 | UInt32(number)
        }
        self.init(rawValue: bits)
    }

    /// Parses every form of an IPv4 address that resolvers accept, as inet_aton(3) does: `127.1`, `0x7f.0.0.1`,
    /// `0177.0.0.1`, `2130706433`.
    init?(anySpelling text: [UInt8]) {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard let last = parts.last, parts.count <= 4 else { return nil }
        var bits: UInt64 = 0
        for part in parts.dropLast() {
            guard let number = part.cNumber(atMost: 255) else { return nil }
            bits = bits << 8 | number
        }
        // The last part fills all remaining bytes.
        let width = UInt64(8 * (5 - parts.count))
        guard let number = last.cNumber(atMost: 1 << width - 1) else { return nil }
        self.init(rawValue: UInt32(truncatingIfNeeded: bits << width | number))
    }
}

extension IPv6Address {
    /// Parses every form of RFC 4291 section 2.2, without a zone.
    init?(_ text: [UInt8]) {
        let colon = UInt8(ascii: ":")
        guard (2...45).contains(text.count), let gap = Self.gap(in: text) else { return nil }
        let (head, tail) =
            gap < 0 ? (text[...], [][...]) : (text[..<gap], text[(gap + 2)...])
        guard
            let before = Self.groups(head.split(separator: colon, omittingEmptySubsequences: false), gap < 0),
            let after = Self.groups(tail.split(separator: colon, omittingEmptySubsequences: false), true)
        else { return nil }
        let missing = 8 - before.count - after.count
        guard gap < 0 ? missing == 0 : missing >= 1 else { return nil }
        let groups = before + [UInt64](repeating: 0, count: missing) + after
        self.init(
            high: groups[..<4].reduce(0) { $0 << 16 | $1 },
            low: groups[4...].reduce(0) { $0 << 16 | $1 }
        )
    }

    /// Where the only `::` begins, -1 if there is none, `nil` if there are several.
    private static func gap(in text: [UInt8]) -> Int? {
        let colon = UInt8(ascii: ":")
        let gaps = text.indices.dropLast().filter { text[$0] == colon && text[$0 + 1] == colon }
        return gaps.count > 1 ? nil : gaps.first ?? -1
    }

    /// The 16-bit numbers of one side of the gap; the last two may be written as an IPv4 address.
    private static func groups(_ parts: [ArraySlice<UInt8>], _ mayEndWithIPv4: Bool) -> [UInt64]? {
        if parts.count == 1 && parts[0].isEmpty { return [] }
        var groups: [UInt64] = []
        for (index, part) in parts.enumerated() {
            if let number = part.count <= 4 ? part.number(radix: 16, atMost: 0xffff) : nil {
                groups.append(number)
            } else if mayEndWithIPv4, index == parts.count - 1, let address = IPv4Address(Array(part)) {
                groups += [UInt64(address.rawValue >> 16), UInt64(address.rawValue & 0xffff)]
            } else {
                return nil
            }
        }
        return groups.count <= 8 ? groups : nil
    }
}

extension ArraySlice<UInt8> {
    /// At least one digit and nothing else. `nil` also above the limit, with any number of digits.
    func number(radix: UInt64, atMost limit: UInt64) -> UInt64? {
        guard !isEmpty else { return nil }
        var number: UInt64 = 0
        for byte in self {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80, digit < radix else {
                return nil
            }
            number = number * radix + UInt64(digit)
            guard number <= limit else { return nil }
        }
        return number
    }

    /// A number as strtoul(3) reads it: hexadecimal after `0x`, octal after `0`, otherwise decimal.
    fileprivate func cNumber(atMost limit: UInt64) -> UInt64? {
        if isHexadecimal { return dropFirst(2).number(radix: 16, atMost: limit) }
        if count > 1, first == UInt8(ascii: "0") { return number(radix: 8, atMost: limit) }
        return number(radix: 10, atMost: limit)
    }

    private var isHexadecimal: Bool {
        starts(with: [0x30, UInt8(ascii: "x")]) || starts(with: [0x30, UInt8(ascii: "X")])
    }

    /// Whether a label can only be a number: resolvers treat a name that ends with one as an address.
    var looksLikeANumber: Bool {
        isHexadecimal || !isEmpty && allSatisfy { (0x30...0x39).contains($0) }
    }
}
