extension [UInt8] {
    /// Appends a number in decimal digits, without making a string.
    @inlinable
    package mutating func append(decimal value: some FixedWidthInteger) {
        append(decimalDigits: UInt64(truncatingIfNeeded: value.magnitude), isNegative: value < 0)
    }

    @usableFromInline
    package mutating func append(decimalDigits value: UInt64, isNegative: Bool) {
        append(atMost: Tail.longestDecimal + 1) { tail in
            if isNegative { tail.put(UInt8(ascii: "-")) }
            tail.put(decimal: value)
        }
    }
}
