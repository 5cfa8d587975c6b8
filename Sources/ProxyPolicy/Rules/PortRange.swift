internal import Text

/// Ports: those that a firewall lets through, or those in a rule.
public struct PortRange: Sendable, Hashable, CustomStringConvertible {
    public let lowest: UInt16
    public let highest: UInt16

    /// - Precondition: port 0, which stands for any port, isn't one of them.
    public init(_ ports: ClosedRange<UInt16>) {
        precondition(ports.lowerBound > 0, "port 0 in a range of ports")
        lowest = ports.lowerBound
        highest = ports.upperBound
    }

    /// One port.
    ///
    /// - Precondition: it isn't 0, which stands for any port.
    public init(_ port: UInt16) {
        self.init(port...port)
    }

    /// Parses `20000-20999`, or a single port `20000`.
    ///
    /// - Throws: ``ConfigurationError``.
    public init(parsing text: String) throws(ConfigurationError) {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let ports = ends.compactMap { digits in
            digits.allSatisfy { $0.isASCII && $0.isNumber } ? UInt16(digits) : nil
        }
        guard ports.count == ends.count, let lowest = ports.first, let highest = ports.last, lowest > 0,
            lowest <= highest
        else {
            throw ConfigurationError(
                "'\(text.escapedForOneLine)' is no range of ports; expected two from 1 to 65535, the lower one first, "
                    + "as 20000-20999, or one alone"
            )
        }
        self.init(lowest...highest)
    }

    /// `20000-20999`
    public var description: String { "\(lowest)-\(highest)" }

    /// All ports, starting with a random one: others can't predict it, and sessions rarely collide.
    package func fromAnywhere() -> some Sequence<UInt16> {
        let count = UInt32(highest - lowest) + 1
        let start = UInt32.random(in: 0..<count)
        return (0..<count).lazy.map { [lowest] offset in lowest + UInt16((start + offset) % count) }
    }
}
