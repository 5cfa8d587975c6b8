internal import Text

/// The keys that a section may have.
struct Table<Model> {
    let settings: [Setting<Model>]
    /// Keys that a section must have.
    let required: [String]
    /// Keys of which a section needs exactly one; empty if there is no such rule.
    let alternatives: [String]
    /// An example of the section for a message; `nil` if its keys are clear enough.
    let example: String?

    init(
        _ settings: [Setting<Model>],
        required: [String] = [],
        exactlyOneOf alternatives: [String] = [],
        example: String? = nil
    ) {
        self.settings = settings
        self.required = required
        self.alternatives = alternatives
        self.example = example
    }

    /// Reads the valid parts of a section, and reports all others.
    ///
    /// - Parameter name: The key of the section; `nil` for the whole file.
    func decode(_ node: YAMLNode, _ name: String?, into model: inout Model, _ problems: Problems) {
        let entries: [YAMLNode.Entry]
        switch node.content {
        case .mapping(let found): entries = found
        case .refused: return
        // A file of only comments sets nothing, which is valid.
        case .scalar where node.isEmpty && name == nil: return
        case .scalar, .list: return refuse(node, name, problems)
        }
        for (index, entry) in entries.enumerated() {
            if let setting = settings.first(where: { $0.key == entry.key }) {
                setting.decode(entry.value, &model, problems)
            } else {
                refuse(entry, behind: index > 0 ? entries[index - 1] : nil, entries, name, problems)
            }
        }
        for key in required where !entries.contains(where: { $0.key == key }) {
            problems.add(
                node.place,
                "no \(key.quoted)\(name.map { " in \($0.quoted)" } ?? "")",
                expected: "it"
            )
        }
        guard !alternatives.isEmpty else { return }
        let chosen = entries.filter { alternatives.contains($0.key) }
        if chosen.count == 1 { return }
        problems.add(
            chosen.dropFirst().first?.place ?? node.place,
            chosen.isEmpty
                ? "a key is missing\(name.map { " in \($0.quoted)" } ?? "")"
                : chosen.map(\.key.quoted).joined(separator: " and ") + " together",
            expected: "exactly one of \(alternatives.joined(separator: ", "))"
        )
    }

    private var keys: [String] { settings.map(\.key) }

    private var choice: String { keys.prefix(8).joined(separator: ", ") + (keys.count > 8 ? ", ..." : "") }

    /// Reports a value that isn't a section.
    private func refuse(_ node: YAMLNode, _ name: String?, _ problems: Problems) {
        let subject = name.map { "\($0.quoted) is" } ?? "the file is"
        var expected = example.map { "a section, as \($0)" } ?? "a section with \(choice)"
        if case .scalar(let text, _) = node.content, !node.isEmpty {
            // A word in place of the only key that it was meant for.
            let isSwitch = Syntax<Bool>.flag.parse(text) != nil
            if isSwitch, let key = ["enabled", "mode"].first(where: keys.contains) {
                expected = "a section, as {\(key): \(text.printable)}"
            } else if name == nil {
                expected = "KEY: VALUE, with a space behind the ':'"
            }
        }
        problems.add(node.place, "\(subject) \(node.kind)", expected: expected)
    }

    /// Reports a key that doesn't belong to the section.
    private func refuse(
        _ entry: YAMLNode.Entry,
        behind last: YAMLNode.Entry?,
        _ entries: [YAMLNode.Entry],
        _ name: String?,
        _ problems: Problems
    ) {
        let section = name.map { " in \($0.quoted)" } ?? ""
        let secrets = settings.filter(\.isSecret).map(\.key)
        if !secrets.isEmpty,
            entry.value.isEmpty || secrets.contains(last?.key ?? "") && last?.place.line == entry.place.line
        {
            // After a comma in an unquoted password, this is a part of the password.
            return problems.add(
                entry.place,
                "an unknown key\(section)",
                expected: "\(choice), and quotes around a value with a ',' or ':' in it"
            )
        }
        if let colon = entry.key.firstIndex(of: ":"), keys.contains(String(entry.key[..<colon])) {
            let key = entry.key[..<colon]
            return problems.add(entry.place, "no space behind '\(key):'\(section)", expected: "\(key): VALUE")
        }
        let other = ParserTrouble.setting(for: entry.key).flatMap { keys.contains($0) ? $0 : nil }
        let suggestion = keys.nearest(to: entry.key) ?? (name == nil ? other : nil)
        if let (outer, isList) = sectionMeant(
            by: entry.key,
            behind: last,
            entries,
            isLikely: suggestion == nil
        ) {
            let expected = isList ? "it in an item of the list '\(outer)'" : "it further in, below '\(outer)'"
            return problems.add(
                entry.place,
                "\(entry.key.quoted)\(section) is not indented",
                expected: expected
            )
        }
        problems.add(
            entry.place,
            "unknown key \(entry.key.quoted)\(section)",
            expected: choice,
            suggestion: suggestion
        )
    }

    /// The subsection that a key beside it was probably meant for: it has such a key, and is empty or ends there.
    ///
    /// - Parameter isLikely: whether the key resembles no other, so that the only subsection that has it is accepted.
    private func sectionMeant(
        by key: String,
        behind last: YAMLNode.Entry?,
        _ entries: [YAMLNode.Entry],
        isLikely: Bool
    ) -> (key: String, isList: Bool)? {
        let sections = settings.compactMap { setting -> (key: String, isList: Bool)? in
            switch setting.shape {
            case .section(let inner) where inner.entries.contains { $0.key == key }: (setting.key, false)
            case .sections(let inner) where inner.entries.contains { $0.key == key }: (setting.key, true)
            case .section, .sections, .named, .namedValues, .value, .list, .oneOrMore, .valueOrSection: nil
            }
        }
        let empty = sections.first { section in
            entries.contains { $0.key == section.key && $0.value.isEmpty }
        }
        return empty ?? sections.first { $0.key == last?.key }
            ?? (isLikely && sections.count == 1 ? sections.first : nil)
    }

    /// The section as JSON, without unset values and empty lists.
    func render(_ model: Model) -> String {
        let parts = settings.compactMap { setting in
            setting.render(model).flatMap { $0 == "[]" ? nil : $0 }.map {
                "\(setting.key.json): \(setting.isSecret ? "(hidden)".json : $0)"
            }
        }
        return "{\(parts.joined(separator: ", "))}"
    }
}

extension Problems {
    /// The value of a node, or a problem that names its kind.
    func value<Value>(of node: YAMLNode, _ key: String, _ syntax: Syntax<Value>, _ isSecret: Bool) -> Value? {
        switch node.content {
        case .scalar(let text, _) where !node.isEmpty:
            if let value = syntax.parse(text) { return value }
            let complaint = syntax.complaint(about: text, isSecret: isSecret)
            add(
                node.place,
                key.quoted + complaint.what,
                expected: complaint.expected,
                suggestion: complaint.suggestion
            )
        case .refused: break
        case .mapping(let entries) where entries.count == 1 && entries[0].value.isEmpty && !isSecret:
            add(
                node.place,
                "\(key.quoted) ends with a ':', which makes it a section",
                expected: "quotes around it"
            )
        case .scalar, .list, .mapping:
            let hint = isSecret && node.isEmpty ? ", in quotes if it begins with '#'" : ""
            add(node.place, "\(key.quoted) is \(node.kind)", expected: syntax.expected + hint)
        }
        return nil
    }

    func entries(of node: YAMLNode, _ key: String, _ expected: String) -> [YAMLNode.Entry]? {
        switch node.content {
        case .mapping(let entries): return entries
        case .refused: break
        case .scalar, .list: add(node.place, "\(key.quoted) is \(node.kind)", expected: expected)
        }
        return nil
    }

    func items(of node: YAMLNode, _ key: String, _ expected: String) -> [YAMLNode]? {
        switch node.content {
        case .list(let items): return items
        case .refused: break
        case .scalar, .mapping: add(node.place, "\(key.quoted) is \(node.kind)", expected: expected)
        }
        return nil
    }
}
