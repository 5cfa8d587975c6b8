/// Ports: those that a firewall lets through, or those that a rule is about.
public struct PortRange: Sendable, Hashable, CustomStringConvertible {
    public let lowest: UInt16
    public let highest: UInt16

    /// `nil`: port 0, or the wrong way round.
    public init?(_ lowest: UInt16, _ highest: UInt16) {
        guard lowest > 0, lowest <= highest else { return nil }
        self.lowest = lowest
        self.highest = highest
    }

    /// Parses `20000-20999`, or `20000` alone. `nil`: it is something else.
    public init?(parsing text: String) {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let ports = ends.compactMap { digits in
            digits.allSatisfy { $0.isASCII && $0.isNumber } ? UInt16(digits) : nil
        }
        guard ports.count == ends.count, let lowest = ports.first, let highest = ports.last else {
            return nil
        }
        self.init(lowest, highest)
    }

    /// `20000-20999`
    public var description: String { "\(lowest)-\(highest)" }

    /// All ports, from a random one on: others can't foresee it, and sessions seldom collide.
    package func fromAnywhere() -> some Sequence<UInt16> {
        let count = UInt32(highest - lowest) + 1
        let start = UInt32.random(in: 0..<count)
        return (0..<count).lazy.map { [lowest] offset in lowest + UInt16((start + offset) % count) }
    }
}
