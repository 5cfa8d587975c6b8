internal import Text

/// A position in a file, both numbers from 1; columns count characters.
struct Place: Comparable, Hashable {
    let line: Int
    let column: Int

    static func < (left: Place, right: Place) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// One problem of a file, in the words of a line of output.
struct Problem: Equatable {
    let place: Place
    let what: String
    var expected: String?
    var suggestion: String?

    /// `line:column: problem; expected …; did you mean …?`
    var description: String {
        var text = "\(place.line):\(place.column): \(what)"
        if let expected { text += "; expected \(expected)" }
        if let suggestion { text += "; did you mean '\(suggestion.printable)'?" }
        return text
    }
}

/// The problems of a file; if there are more than ``limit``, the first ones by line.
final class Problems {
    static let limit = 50

    private(set) var count = 0
    private var kept: [Problem] = []

    func add(_ place: Place, _ what: String, expected: String? = nil, suggestion: String? = nil) {
        count += 1
        kept.append(Problem(place: place, what: what, expected: expected, suggestion: suggestion))
        // The report on a hostile file stays small, even if it has many problems.
        if kept.count >= 2 * Self.limit { kept = first }
    }

    var first: [Problem] {
        Array(kept.sorted { $0.place < $1.place }.prefix(Self.limit))
    }

    /// One line per problem, each with the file's name before it.
    func lines(file: String) -> [String] {
        let lines = first.map { "\(file.printable):\($0.description)" }
        return count > lines.count
            ? lines + ["\(file.printable): ... and \(count - lines.count) more"] : lines
    }
}

extension String {
    /// As ``quotedName``, but a text with an `@` isn't shown: it may be a URL with a login, placed there by mistake.
    var quoted: String { contains("@") ? "'...' (not shown, there is an '@' in it)" : quotedName }

    /// The text in quotes, on one line, and shortened to a reasonable length.
    var quotedName: String {
        let start = String(unicodeScalars.prefix(60))
        return "'\(start.printable)\(start.unicodeScalars.count < unicodeScalars.count ? "..." : "")'"
    }
}
