// Settings with user-defined names.

extension Setting {
    /// Sections with user-defined names, in order.
    ///
    /// - Parameter name: the member of a section that stores its name.
    static func named<Part>(
        _ key: String,
        _ path: WritableKeyPath<Model, [Part]>,
        by name: WritableKeyPath<Part, String>,
        _ syntax: Syntax<String>,
        _ table: Table<Part>,
        new: @escaping () -> Part,
        flag: Flag? = nil,
        _ doc: String
    ) -> Setting {
        Setting(
            key: key,
            doc: doc,
            flag: flag,
            shape: .named(syntax.form, Description(table, defaults: nil)),
            decode: { node, model, problems in
                let example = table.example.map { ", as NAME: \($0)" } ?? ""
                guard let entries = problems.entries(of: node, key, "a section of names\(example)") else {
                    return
                }
                model[keyPath: path] = entries.map { entry in
                    _ = problems.name(of: entry, key, syntax)
                    var part = new()
                    part[keyPath: name] = entry.key
                    table.decode(entry.value, entry.key, into: &part, problems)
                    return part
                }
            },
            render: { model in
                let parts = model[keyPath: path].map { "\($0[keyPath: name].json): \(table.render($0))" }
                return "{\(parts.joined(separator: ", "))}"
            }
        )
    }

    /// For each user-defined name, one value or a list of at least one.
    ///
    /// - Parameter most: the most names allowed.
    static func namedValues<Name: Hashable, Value>(
        _ key: String,
        _ path: WritableKeyPath<Model, [Name: [Value]]>,
        by name: Syntax<Name>,
        _ syntax: Syntax<Value>,
        most: Int,
        example: String,
        _ doc: String
    ) -> Setting {
        Setting(
            key: key,
            doc: doc,
            shape: .namedValues(name.form, syntax.form),
            decode: { node, model, problems in
                let expected = "a section of names, as \(example)"
                guard let entries = problems.entries(of: node, key, expected) else { return }
                if entries.count > most {
                    problems.add(
                        node.place,
                        "\(key.quoted) has \(entries.count) names",
                        expected: "at most \(most)"
                    )
                }
                var found: [Name: [Value]] = [:]
                for entry in entries.prefix(most) {
                    guard let known = problems.name(of: entry, key, name) else { continue }
                    let items =
                        if case .list(let items) = entry.value.content { items } else { [entry.value] }
                    if items.isEmpty {
                        problems.add(
                            entry.value.place,
                            "\(entry.key.quoted) is an empty list",
                            expected: "at least one"
                        )
                    }
                    let values = items.compactMap { problems.value(of: $0, entry.key, syntax, false) }
                    if found.updateValue(values, forKey: known) != nil {
                        problems.add(entry.place, "\(entry.key.quoted) is given twice", expected: "once")
                    }
                }
                model[keyPath: path] = found
            },
            render: { model in
                let parts = model[keyPath: path].map { (name.write($0), $1) }.sorted { $0.0 < $1.0 }.map {
                    "\($0.json): [\($1.map(syntax.json).joined(separator: ", "))]"
                }
                return "{\(parts.joined(separator: ", "))}"
            }
        )
    }
}

extension Problems {
    /// A section's user-defined name, or a problem with the expected form.
    fileprivate func name<Name>(of entry: YAMLNode.Entry, _ key: String, _ syntax: Syntax<Name>) -> Name? {
        if let name = syntax.parse(entry.key) { return name }
        let complaint = syntax.complaint(about: entry.key, isSecret: false)
        add(entry.place, "a name in \(key.quoted)\(complaint.what)", expected: complaint.expected)
        return nil
    }
}
