internal import Text

/// The domain names that a rule is about. Case and a trailing dot make no difference.
///
/// | pattern | names |
/// |---|---|
/// | `example.com` | that one |
/// | `.example.com` | that one and all below it |
/// | `*.example.com` | all below it, however deep |
/// | `cdn-*.example.com` | a `*` that isn't a whole first label stands for any characters but a dot, or none |
/// | `*` | all names |
///
/// Addresses never match, even if they are sent as names: they are matched by networks.
public struct DomainPattern: Sendable, Hashable, CustomStringConvertible {
    /// Lower case, without a trailing dot.
    public let description: String

    /// - Throws: ``ConfigurationError``.
    public init(parsing text: String) throws(ConfigurationError) {
        let lowercased = text.lowercased()
        let canonical =
            lowercased.hasSuffix(".") && lowercased != "." ? String(lowercased.dropLast()) : lowercased
        if let fault = Self.fault(of: canonical) {
            throw ConfigurationError(
                "'\(text.escapedForOneLine)' is not a domain: \(fault); "
                    + "expected example.com, .example.com (with all below it) or *.example.com (below it only)"
            )
        }
        description = canonical
    }

    private static func fault(of text: String) -> String? {
        let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let names = text.hasPrefix(".") ? labels.dropFirst() : labels[...]
        guard text.utf8.allSatisfy({ $0 < 0x80 }) else { return "it isn't ASCII, write it as xn--..." }
        let isPlain = { (byte: UInt8) in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "*"): true
            default: false
            }
        }
        guard names.allSatisfy({ $0.allSatisfy(isPlain) }) else {
            return "only letters, digits, '-', '_', '*' and dots are in one"
        }
        guard !names.isEmpty, names.allSatisfy({ !$0.isEmpty }) else { return "a label is empty" }
        guard text.utf8.count <= 254 else { return "it has more than 254 bytes" }
        // The last label of a name is never a number; that distinguishes addresses from names (RFC 3696).
        guard names.last?.allSatisfy({ (0x30...0x39).contains($0) }) == false else {
            return "it's an address, which belongs among networks"
        }
        guard !text.hasPrefix(".") || !text.contains("*") else { return "a leading dot and a '*'" }
        return nil
    }

    /// How a pattern matches the names that end with the labels after its last `*`.
    package enum Kind {
        /// The name itself.
        case exactly
        /// The name itself and all names below it.
        case within
        /// All names below it.
        case below
        /// The names below it that match the whole pattern.
        case matching
    }

    /// The lookup key of the pattern: the labels that a name must end with (none for `*`), and how it matches.
    package var key: (suffix: Substring, kind: Kind) {
        if description.hasPrefix(".") { return (description.dropFirst(), .within) }
        guard let star = description.lastIndex(of: "*") else { return (description[...], .exactly) }
        guard let dot = description[star...].firstIndex(of: ".") else {
            return ("", description == "*" ? .below : .matching)
        }
        let suffix = description[description.index(after: dot)...]
        return (suffix, description[..<dot] == "*" ? .below : .matching)
    }
}

/// A pattern with a `*` within labels, compared byte by byte.
package struct DomainGlob: Sendable {
    private static let star = UInt8(ascii: "*")
    private static let dot = UInt8(ascii: ".")

    /// Without a leading `*.`, which matches one or more labels.
    private let pattern: [UInt8]
    private let labels: Int
    private let isOpen: Bool

    package init(_ text: String) {
        isOpen = text.hasPrefix("*.")
        pattern = Array(text.utf8.dropFirst(isOpen ? 2 : 0))
        labels = pattern.count { $0 == Self.dot } + 1
    }

    /// - Parameter name: lower case, without a trailing dot.
    package func matches(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        var start = 0
        if isOpen {
            var missing = labels
            start = name.count
            while start > 0 {
                if name[start - 1] == Self.dot { missing -= 1 }
                if missing == 0 { break }
                start -= 1
            }
            guard start > 0 else { return false }
        }
        return matches(name, from: start)
    }

    /// If bytes differ, goes back only to the last `*`: it can match one more byte, unless that is a dot.
    private func matches(_ name: UnsafeBufferPointer<UInt8>, from start: Int) -> Bool {
        var (place, next) = (start, 0)
        var retry: (place: Int, next: Int)?
        while place < name.count {
            if next < pattern.count, pattern[next] == Self.star {
                next += 1
                retry = (place, next)
            } else if next < pattern.count, pattern[next] == name[place] {
                place += 1
                next += 1
            } else if let last = retry, name[last.place] != Self.dot {
                place = last.place + 1
                next = last.next
                retry = (place, next)
            } else {
                return false
            }
        }
        return pattern[next...].allSatisfy { $0 == Self.star }
    }
}
