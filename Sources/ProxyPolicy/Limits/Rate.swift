/// Bytes per second, and the values derived from it.
package struct Rate: Sendable {
    private let bytesPerSecond: UInt64
    /// Bytes that are taken at a time: a 64th of a second's bytes, so that many waiting connections get their turn
    /// soon. At most the size of a large ring, and enough that the cost of calls doesn't dominate.
    package let portion: Int

    /// How much unused time can be made up for, in nanoseconds: a 16th of a second, so that a late thread loses
    /// nothing. Together with a portion this is how far a limit may be exceeded, once.
    package static let credit: UInt64 = 62_500_000

    /// - Parameter bytesPerSecond: 1024 to 2^40.
    package init(_ bytesPerSecond: Int) {
        self.bytesPerSecond = UInt64(bytesPerSecond)
        portion = min(256 << 10, max(512, bytesPerSecond / 64))
    }

    /// The time that it takes to earn these bytes, in nanoseconds.
    package func cost(of bytes: Int) -> UInt64 {
        UInt64(bytes) * 1_000_000_000 / bytesPerSecond
    }
}
