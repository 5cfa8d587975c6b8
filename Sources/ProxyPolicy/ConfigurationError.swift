/// An invalid value in a configuration.
public struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    /// One line of printable ASCII: the value found, and the value expected.
    public let description: String

    package init(_ description: String) {
        self.description = description
    }

    /// Refuses a number outside its range; `nil` is always valid.
    package static func check(
        _ name: String,
        _ value: Int?,
        _ range: ClosedRange<Int>
    ) throws(ConfigurationError) {
        guard let value, !range.contains(value) else { return }
        throw ConfigurationError("\(name) is \(value); expected \(range.lowerBound) to \(range.upperBound)")
    }
}
