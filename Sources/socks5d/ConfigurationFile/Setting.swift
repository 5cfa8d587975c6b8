/// A row of a ``Table``: one key of a section, and all that is known of it. What reads files, flags and
/// variables, what shows the settings and what describes them goes by this row alone.
struct Setting<Model> {
    let key: String
    /// One line.
    let doc: String
    /// Behind `--`, and in capitals behind `SOCKS5D_`; `nil`: in the file alone.
    var flag: String?
    /// Its value is in no message and no list of settings.
    var isSecret = false
    let shape: Shape
    let decode: (YAMLNode, inout Model, Problems) -> Void
    /// From the texts of a flag or variable. Returns the text that isn't such a value.
    var assign: ((inout Model, [String]) -> String?)?
    /// The value as JSON, which is YAML too; `nil`: not set.
    let render: (Model) -> String?
    /// Those of a group, which share its model.
    var group: [Setting] = []
}

/// What may stand behind a key.
indirect enum Shape {
    case value(SyntaxForm, expected: String)
    case list(SyntaxForm, expected: String)
    case section(Description)
    case sections(Description)
}

extension Setting {
    static func value<Value>(
        _ key: String,
        _ path: WritableKeyPath<Model, Value>,
        _ syntax: Syntax<Value>,
        flag: String? = nil,
        isSecret: Bool = false,
        _ doc: String
    ) -> Setting {
        Setting(
            key: key,
            doc: doc,
            flag: flag,
            isSecret: isSecret,
            shape: .value(syntax.form, expected: syntax.expected),
            decode: { node, model, problems in
                if let value = problems.value(of: node, key, syntax, isSecret) {
                    model[keyPath: path] = value
                }
            },
            assign: { model, texts in
                guard let text = texts.last else { return nil }
                guard let value = syntax.parse(text) else { return text }
                model[keyPath: path] = value
                return nil
            },
            render: { syntax.json($0[keyPath: path]) }
        )
    }

    /// One that may be left unset.
    static func value<Value>(
        _ key: String,
        _ path: WritableKeyPath<Model, Value?>,
        _ syntax: Syntax<Value>,
        flag: String? = nil,
        isSecret: Bool = false,
        _ doc: String
    ) -> Setting {
        let optional = Syntax<Value?>(
            expected: syntax.expected,
            form: syntax.form,
            parse: { text in syntax.parse(text).map { .some($0) } },
            write: { $0.map(syntax.write) ?? "" }
        )
        let setting = value(key, path, optional, flag: flag, isSecret: isSecret, doc)
        return Setting(
            key: key,
            doc: doc,
            flag: flag,
            isSecret: isSecret,
            shape: setting.shape,
            decode: setting.decode,
            assign: setting.assign,
            render: { $0[keyPath: path].map(syntax.json) }
        )
    }

    static func list<Value>(
        _ key: String,
        _ path: WritableKeyPath<Model, [Value]>,
        _ syntax: Syntax<Value>,
        flag: String? = nil,
        isSecret: Bool = false,
        _ doc: String
    ) -> Setting {
        Setting(
            key: key,
            doc: doc,
            flag: flag,
            isSecret: isSecret,
            shape: .list(syntax.form, expected: syntax.expected),
            decode: { node, model, problems in
                guard let items = problems.items(of: node, key, "a list, each \(syntax.expected)") else {
                    return
                }
                model[keyPath: path] = items.compactMap { problems.value(of: $0, key, syntax, isSecret) }
            },
            assign: { model, texts in
                let values = texts.map { ($0, syntax.parse($0)) }
                if let misfit = values.first(where: { $0.1 == nil }) { return misfit.0 }
                model[keyPath: path] = values.compactMap(\.1)
                return nil
            },
            render: { "[\($0[keyPath: path].map(syntax.json).joined(separator: ", "))]" }
        )
    }

    /// Keys of one subject, which share a section of the file and this model.
    static func group(_ key: String, _ doc: String, _ settings: [Setting]) -> Setting {
        let table = Table(settings)
        return Setting(
            key: key,
            doc: doc,
            shape: .section(Description(table, defaults: nil)),
            decode: { node, model, problems in table.decode(node, key, into: &model, problems) },
            render: table.render,
            group: settings
        )
    }

    /// A section with a model of its own, which is there if the section is.
    static func section<Part>(
        _ key: String,
        _ path: WritableKeyPath<Model, Part?>,
        _ table: Table<Part>,
        new: @escaping () -> Part,
        _ doc: String
    ) -> Setting {
        Setting(
            key: key,
            doc: doc,
            shape: .section(Description(table, defaults: new())),
            decode: { node, model, problems in
                var part = new()
                table.decode(node, key, into: &part, problems)
                model[keyPath: path] = part
            },
            render: { $0[keyPath: path].map(table.render) }
        )
    }

    /// A list of sections, in order.
    static func sections<Part>(
        _ key: String,
        _ path: WritableKeyPath<Model, [Part]>,
        _ table: Table<Part>,
        new: @escaping () -> Part,
        _ doc: String
    ) -> Setting {
        Setting(
            key: key,
            doc: doc,
            shape: .sections(Description(table, defaults: new())),
            decode: { node, model, problems in
                guard let items = problems.items(of: node, key, "a list of sections") else { return }
                model[keyPath: path] = items.map { item in
                    var part = new()
                    table.decode(item, key, into: &part, problems)
                    return part
                }
            },
            render: { "[\($0[keyPath: path].map(table.render).joined(separator: ", "))]" }
        )
    }
}

extension Syntax {
    /// A number or truth value as such where it is one, else a string.
    func json(_ value: Value) -> String {
        let text = write(value)
        switch form {
        case .integer where Int(text) != nil: return text
        case .boolean where ["true", "false"].contains(text): return text
        case .integer, .boolean, .text, .words, .pattern: return text.json
        }
    }
}
