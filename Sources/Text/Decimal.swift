extension [UInt8] {
    /// Appends a number in decimal digits, without a detour over a string.
    @inlinable
    package mutating func append(decimal value: some FixedWidthInteger) {
        append(decimalDigits: UInt64(truncatingIfNeeded: value.magnitude), isNegative: value < 0)
    }

    @usableFromInline
    package mutating func append(decimalDigits value: UInt64, isNegative: Bool) {
        if isNegative { append(UInt8(ascii: "-")) }
        let start = count
        var rest = value
        repeat {
            append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        var (low, high) = (start, count - 1)
        while low < high {
            swapAt(low, high)
            low += 1
            high -= 1
        }
    }
}
