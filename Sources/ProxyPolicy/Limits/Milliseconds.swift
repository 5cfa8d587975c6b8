extension Duration {
    /// Whole milliseconds, rounded up. Limited to a century, so that sums can't overflow.
    package var milliseconds: UInt64 {
        let century: Duration = .seconds(100 * 365 * 86400)
        let (seconds, attoseconds) = Swift.max(.zero, Swift.min(self, century)).components
        return UInt64(seconds) * 1000 + UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
