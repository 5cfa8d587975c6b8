/// The keys that a section may have.
struct Table<Model> {
    let settings: [Setting<Model>]
    /// Keys that a section must have.
    let required: [String]
    /// Keys of which a section has exactly one; empty: no such rule.
    let alternatives: [String]

    init(
        _ settings: [Setting<Model>],
        required: [String] = [],
        exactlyOneOf alternatives: [String] = []
    ) {
        self.settings = settings
        self.required = required
        self.alternatives = alternatives
    }

    /// Takes from a section what is right in it, and reports all that isn't.
    ///
    /// - Parameter name: The key that the section is behind; `nil`: the whole file.
    func decode(_ node: YAMLNode, _ name: String?, into model: inout Model, _ problems: Problems) {
        let keys = settings.map(\.key)
        let choice = keys.prefix(8).joined(separator: ", ") + (keys.count > 8 ? ", ..." : "")
        let entries: [YAMLNode.Entry]
        switch node.content {
        case .mapping(let found): entries = found
        case .refused: return
        // A file of comments alone says nothing, and that is fine.
        case .scalar where node.isEmpty && name == nil: return
        case .scalar, .list:
            let subject = name.map { "\($0.quoted) is" } ?? "the file is"
            return problems.add(node.place, "\(subject) \(node.kind)", expected: "a section with \(choice)")
        }
        for entry in entries {
            if let setting = settings.first(where: { $0.key == entry.key }) {
                setting.decode(entry.value, &model, problems)
            } else {
                problems.add(
                    entry.place,
                    "unknown key \(entry.key.quoted)\(name.map { " in \($0.quoted)" } ?? "")",
                    expected: choice,
                    suggestion: keys.nearest(to: entry.key)
                )
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
            chosen.isEmpty ? "none of them" : chosen.map(\.key.quoted).joined(separator: " and "),
            expected: "exactly one of \(alternatives.joined(separator: ", "))"
        )
    }

    /// The section as JSON, without what isn't set and lists without values.
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
    /// The value that a node stands for, or a problem that names what it is instead.
    func value<Value>(of node: YAMLNode, _ key: String, _ syntax: Syntax<Value>, _ isSecret: Bool) -> Value? {
        switch node.content {
        case .scalar(let text, _) where !node.isEmpty:
            if let value = syntax.parse(text) { return value }
            let complaint = syntax.complaint(about: text, isSecret: isSecret)
            var suggestion: String?
            if case .words(let words) = syntax.form, !isSecret { suggestion = words.nearest(to: text) }
            add(
                node.place,
                key.quoted + complaint.what,
                expected: complaint.expected,
                suggestion: suggestion
            )
        case .refused: break
        case .scalar, .list, .mapping:
            add(node.place, "\(key.quoted) is \(node.kind)", expected: syntax.expected)
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
