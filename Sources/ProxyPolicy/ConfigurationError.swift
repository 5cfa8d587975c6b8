/// A value that a configuration can't have.
public struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    /// One line of printable ASCII: what was found, and what was expected.
    public let description: String

    package init(_ description: String) {
        self.description = description
    }

    /// Refuses a number out of its range; `nil` is in every one.
    package static func check(
        _ name: String,
        _ value: Int?,
        _ range: ClosedRange<Int>
    ) throws(ConfigurationError) {
        guard let value, !range.contains(value) else { return }
        throw ConfigurationError("\(name) is \(value); expected \(range.lowerBound) to \(range.upperBound)")
    }
}
