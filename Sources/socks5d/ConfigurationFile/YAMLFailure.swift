extension Problems {
    /// libyaml's failure in our words.
    func add(_ failure: YAMLEvents.Failure, in text: UnsafeBufferPointer<UInt8>) {
        guard let place = failure.place else {
            return add(
                Place(ofByte: failure.offset, in: text),
                failure.problem.contains("control") ? "a control character" : "bytes that are no UTF-8",
                expected: "text in UTF-8"
            )
        }
        let meaning: (what: String, expected: String)? =
            switch failure.problem {
            case "found character that cannot start any token":
                text.byte(at: place) == UInt8(ascii: "\t")
                    ? ("a tab", "spaces to indent")
                    : ("a character that begins no value", "quotes around the value")
            case "found a tab character that violates indentation": ("a tab", "spaces to indent")
            case "mapping values are not allowed in this context":
                ("a ':' after a value", "a key of its own line, or quotes around the value")
            case "could not find expected ':'": ("a line without ': '", "KEY: VALUE")
            case "did not find expected key": ("no key", "KEY: VALUE, as far in as the keys above")
            case "did not find expected '-' indicator":
                ("no '-'", "'- ' before each item, as far in as the one above")
            case "did not find expected ',' or ']'": ("a list that isn't closed", "',' or ']'")
            case "did not find expected ',' or '}'": ("a section that isn't closed", "',' or '}'")
            case "found unexpected end of stream": ("the end of the file", "the closing quote")
            default: nil
            }
        if let meaning { return add(place, meaning.what, expected: meaning.expected) }
        add(
            place,
            [failure.context, failure.problem].filter { !$0.isEmpty }.joined(separator: ", "),
            expected: "YAML"
        )
    }
}

extension Place {
    /// Of a byte behind text that is UTF-8.
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

extension UnsafeBufferPointer<UInt8> {
    fileprivate func byte(at place: Place) -> UInt8? {
        let lines = split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.indices.contains(place.line - 1) else { return nil }
        let characters = String(decoding: lines[place.line - 1], as: UTF8.self).unicodeScalars
        return characters.dropFirst(place.column - 1).first.flatMap { UInt8(exactly: $0.value) }
    }
}
