extension Problems {
    /// Adds libyaml's failure in our words. They quote nothing of the text, which may be a secret.
    func add(_ failure: YAMLEvents.Failure, in text: UnsafeBufferPointer<UInt8>) {
        guard let place = failure.place else {
            return add(
                Place(ofByte: failure.offset, in: text),
                failure.problem.contains("control") ? "a control character" : "bytes that are no UTF-8",
                expected: "text in UTF-8"
            )
        }
        let spot = Spot(place, in: text)
        if let slip = spot.missingSpaceAbove(failure.problem) {
            return add(slip, "no space behind the ':'", expected: "KEY: VALUE")
        }
        if let (what, expected) = spot.slipOfValue(failure) ?? spot.slipOfStructure(failure.problem) {
            return add(place, what, expected: expected)
        }
        add(
            place,
            [failure.context, failure.problem].filter { !$0.isEmpty }.joined(separator: ", "),
            expected: "YAML"
        )
    }
}

/// The place where libyaml has stopped, and the text around it, from which the mistake can be guessed.
private struct Spot {
    typealias Slip = (what: String, expected: String)

    private let place: Place
    private let lines: [String]

    init(_ place: Place, in text: UnsafeBufferPointer<UInt8>) {
        self.place = place
        lines = text.split(
            separator: UInt8(ascii: "\n"),
            maxSplits: place.line,
            omittingEmptySubsequences: false
        )
        .prefix(place.line).map { String(decoding: $0, as: UTF8.self) }
    }

    private var line: [Unicode.Scalar] {
        lines.indices.contains(place.line - 1) ? Array(lines[place.line - 1].unicodeScalars) : []
    }

    private var before: [Unicode.Scalar] { Array(line.prefix(place.column - 1)) }

    private var after: ArraySlice<Unicode.Scalar> { line.dropFirst(place.column - 1) }

    /// The last line above that isn't empty.
    private var above: (number: Int, text: String)? {
        let index = lines.indices.prefix(max(0, place.line - 1)).last { index in
            let first = lines[index].first { !$0.isWhitespace }
            return first != nil && first != "#"
        }
        return index.map { ($0 + 1, lines[$0]) }
    }

    // MARK: - Values that mean something to YAML

    func slipOfValue(_ failure: YAMLEvents.Failure) -> Slip? {
        switch (failure.problem, failure.context) {
        case ("did not find expected alphabetic or numeric character", _):
            after.first == "&"
                ? ("an '&' that begins a value, which is an anchor in YAML", "quotes around the value")
                : (
                    "a '*' that begins a value, which is an alias in YAML",
                    "quotes around the value: \"*.example.com\""
                )
        case ("found character that cannot start any token", _):
            after.first == "\t"
                ? ("a tab", "spaces to indent")
                : ("a character that begins no value", "quotes around the value")
        case ("found a tab character that violates indentation", _): ("a tab", "spaces to indent")
        case ("did not find expected node content", _) where after.first == ":": Self.address
        case ("did not find expected node content", _):
            ("no value", "a value before a ',' or the end of the list")
        case ("found unexpected ':'", _):
            isAddress ? Self.address : ("no space behind a ':'", "KEY: VALUE")
        case (_, let context) where context.hasPrefix("while scanning a tag"):
            ("a '!' that begins a value, which is a tag in YAML", "quotes around the value")
        case ("found unknown escape character", _), ("did not find expected hexdecimal number", _):
            ("a '\\' that means nothing within double quotes", "'\\\\', or single quotes around the value")
        case ("found unexpected end of stream", _): ("the end of the file", "the closing quote")
        default: nil
        }
    }

    private static let address = Slip(
        "an address with colons, but without quotes",
        "quotes around it: \"[::1]:1080\" or \"::1/128\""
    )

    /// Whether there is an IPv6 address here.
    private var isAddress: Bool {
        let isPart = { (scalar: Unicode.Scalar) in scalar.properties.isASCIIHexDigit || scalar == ":" }
        let word = before.reversed().prefix(while: isPart).reversed() + after.prefix(while: isPart)
        return zip(word, word.dropFirst()).contains { $0 == ":" && $1 == ":" }
    }

    // MARK: - Lines and brackets

    func slipOfStructure(_ problem: String) -> Slip? {
        switch problem {
        case "mapping values are not allowed in this context": secondColon
        case "could not find expected ':'": ("a line without ': '", "KEY: VALUE")
        case "did not find expected key": unexpectedKey
        case "did not find expected '-' indicator":
            before.allSatisfy { $0 == " " } && line.contains(":")
                ? (
                    "a key between the items of a list",
                    "it as far in as the keys of its item, or '- ' before it"
                )
                : ("no '-'", "'- ' before each item, as far in as the one above")
        case "block sequence entries are not allowed in this context":
            ("a '- ' behind a key", "each '- ' in a line of its own below the key")
        case "did not find expected ',' or ']'": unclosed("a list", "]")
        case "did not find expected ',' or '}'": unclosed("a section", "}")
        default: nil
        }
    }

    private var secondColon: Slip {
        let start = String(String.UnicodeScalarView(before))
        if let above, start.allSatisfy({ $0 != ":" }), Self.indent(of: start) > Self.indent(of: above.text) {
            return (
                "a key further in than the one above, which has a value", "it as far in as the keys above"
            )
        }
        let wayOut =
            start.hasSuffix(": deny") || start.hasSuffix(": allow") ? ", as '- deny: {ports: [25]}'," : ","
        return ("a ':' after a value", "a key of its own line\(wayOut) or quotes around the value")
    }

    private var unexpectedKey: Slip {
        let depth = before.reduce(0) { depth, scalar in
            "[{".unicodeScalars.contains(scalar)
                ? depth + 1 : "]}".unicodeScalars.contains(scalar) ? depth - 1 : depth
        }
        return switch after.first {
        case "}" where depth > 0, "]" where depth > 0:
            ("a closing bracket whose opening one is part of a text", "KEY: {...} or KEY: [...], with ': '")
        case "}", "]": ("one closing bracket too many", "an opening one before it")
        default: ("no key", "KEY: VALUE, as far in as the keys above")
        }
    }

    private func unclosed(_ kind: String, _ bracket: String) -> Slip {
        switch (before.last, after.first) {
        case (_, ":") where before.contains(":"):
            ("a ':' after a value", "quotes around a value that has ': ' in it")
        case ("\"", .some),
            ("'", .some) where after.first != " ":
            ("text behind a closing quote", "quotes around the whole value")
        case ("}", .some), ("]", .some):
            ("text behind a closing bracket", "quotes around a value that begins with a bracket")
        default: ("\(kind) that isn't closed", "',' or '\(bracket)'")
        }
    }

    /// YAML reads a line `key:value` as plain text, which continues on the next line and fails there.
    func missingSpaceAbove(_ problem: String) -> Place? {
        guard
            problem == "mapping values are not allowed in this context"
                || problem == "could not find expected ':'",
            let above, !above.text.contains(": ")
        else { return nil }
        let scalars = Array(above.text.unicodeScalars)
        guard let colon = scalars.firstIndex(of: ":"), colon + 1 < scalars.count, scalars[colon + 1] != "\r",
            scalars[..<colon].allSatisfy({ $0.properties.isAlphabetic || " -".unicodeScalars.contains($0) })
        else { return nil }
        return Place(line: above.number, column: colon + 1)
    }

    private static func indent(of line: String) -> Int {
        line.prefix { $0 == " " }.count
    }
}

extension Place {
    /// The place of a byte after valid UTF-8.
    fileprivate init(ofByte offset: Int, in text: UnsafeBufferPointer<UInt8>) {
        var line = 1
        var column = 1
        for byte in text.prefix(max(0, offset)) {
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if byte & 0xc0 != 0x80 {
                column += 1
            }
        }
        self.init(line: line, column: column)
    }
}
