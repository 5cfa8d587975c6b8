/// Bytes a second, and what follows from that.
package struct Rate: Sendable {
    private let bytesPerSecond: UInt64
    /// Bytes that are taken at a time: a 64th of a second's, so that many who wait get their turn soon; a large ring
    /// at most, and not so few that calls cost more than bytes.
    package let portion: Int

    /// Of unused time so much may be made up for, in nanoseconds: a 16th of a second, so that a thread that comes
    /// late loses nothing. With a portion that is what a limit may be exceeded by, once.
    package static let credit: UInt64 = 62_500_000

    /// - Parameter bytesPerSecond: 1024 to 2^40.
    package init(_ bytesPerSecond: Int) {
        self.bytesPerSecond = UInt64(bytesPerSecond)
        portion = min(256 << 10, max(512, bytesPerSecond / 64))
    }

    /// How long it takes to earn so many bytes, in nanoseconds.
    package func cost(of bytes: Int) -> UInt64 {
        UInt64(bytes) * 1_000_000_000 / bytesPerSecond
    }
}
