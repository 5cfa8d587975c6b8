/// A part of a YAML document, and its beginning.
struct YAMLNode: Equatable {
    let place: Place
    let content: Content

    enum Content: Equatable {
        /// `isPlain`: not quoted and not a block, so that `null` means nothing rather than a word.
        case scalar(String, isPlain: Bool)
        case list([YAMLNode])
        /// In the file's order, without duplicate keys.
        case mapping([Entry])
        /// A node whose problem the reader has already reported.
        case refused
    }

    struct Entry: Equatable {
        let place: Place
        let key: String
        let value: YAMLNode
    }

    var isEmpty: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }

    /// Its kind, in the words of a problem.
    var kind: String {
        switch content {
        case _ where isEmpty: "empty"
        case .scalar: "one value"
        case .list: "a list"
        case .mapping: "a section"
        case .refused: "what is refused"
        }
    }
}
