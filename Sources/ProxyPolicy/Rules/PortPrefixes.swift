extension PortRange {
    /// The range as prefixes of 16 bits, at most 30 of them.
    package func prefixes(value: Int) -> [PrefixTable<UInt16>.Prefix] {
        var prefixes: [PrefixTable<UInt16>.Prefix] = []
        var next = Int(lowest)
        while next <= highest {
            // The largest block that begins here and doesn't extend beyond the end.
            var freeBits = min(16, next.trailingZeroBitCount)
            while next + 1 << freeBits > Int(highest) + 1 { freeBits -= 1 }
            prefixes.append(.init(bits: UInt16(next), length: 16 - freeBits, value: value))
            next += 1 << freeBits
        }
        return prefixes
    }
}
