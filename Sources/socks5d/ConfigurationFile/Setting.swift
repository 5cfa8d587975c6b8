/// A row of a ``Table``: one key of a section, and everything that is known about it. The code that reads files, flags
/// and variables, shows the settings and describes them uses only this row.
struct Setting<Model> {
    let key: String
    /// One line.
    let doc: String
    /// `nil` if it can be set only in the file.
    var flag: Flag?
    /// Its value appears in no message and no list of settings.
    var isSecret = false
    let shape: Shape
    let decode: (YAMLNode, inout Model, Problems) -> Void
    /// The value as JSON, which is YAML too; `nil` if it isn't set.
    let render: (Model) -> String?
    /// The settings of a group, which share its model.
    var group: [Setting] = []

    /// The setting on the command line and in the environment.
    struct Flag {
        /// The name after `--`, and in capitals after `SOCKS5D_`.
        let name: String
        /// Whether commas separate several values; in a variable spaces do too.
        var isSeparated = false
        /// Paths of other settings that it replaces.
        var replaces: [String] = []
        let assign: (inout Model, [String]) -> Complaint?
    }
}

/// The kinds of values for a key.
indirect enum Shape {
    case value(SyntaxForm)
    case list(SyntaxForm, isNonempty: Bool)
    /// One value, or a list of at least one.
    case oneOrMore(SyntaxForm)
    /// A word, or a section.
    case valueOrSection(SyntaxForm, Description)
    case section(Description)
    case sections(Description)
    /// Sections with user-defined names.
    case named(SyntaxForm, Description)
    /// For each user-defined name, one value or a list of at least one.
    case namedValues(SyntaxForm, SyntaxForm)
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
        single(key, path, syntax, flag, isSecret, doc) {
            $0
        } render: {
            syntax.json($0)
        }
    }

    /// A value that may be left unset.
    static func value<Value>(
        _ key: String,
        _ path: WritableKeyPath<Model, Value?>,
        _ syntax: Syntax<Value>,
        flag: String? = nil,
        isSecret: Bool = false,
        _ doc: String
    ) -> Setting {
        single(key, path, syntax, flag, isSecret, doc) {
            .some($0)
        } render: {
            $0.map(syntax.json)
        }
    }

    /// A truth value whose flag means the opposite.
    static func value(
        _ key: String,
        _ path: WritableKeyPath<Model, Bool>,
        offBy flag: String,
        _ doc: String
    ) -> Setting {
        var setting = value(key, path, .flag, doc)
        setting.flag = Flag(name: flag, assign: assigning(path, .flag, false) { !$0 })
        return setting
    }

    /// - Parameter hold: converts a written value to the model's.
    private static func single<Value, Written>(
        _ key: String,
        _ path: WritableKeyPath<Model, Value>,
        _ syntax: Syntax<Written>,
        _ flag: String?,
        _ isSecret: Bool,
        _ doc: String,
        hold: @escaping (Written) -> Value,
        render: @escaping (Value) -> String?
    ) -> Setting {
        Setting(
            key: key,
            doc: doc,
            flag: flag.map { Flag(name: $0, assign: assigning(path, syntax, isSecret, hold)) },
            isSecret: isSecret,
            shape: .value(syntax.form),
            decode: { node, model, problems in
                if let value = problems.value(of: node, key, syntax, isSecret) {
                    model[keyPath: path] = hold(value)
                }
            },
            render: { render($0[keyPath: path]) }
        )
    }

    private static func assigning<Value, Written>(
        _ path: WritableKeyPath<Model, Value>,
        _ syntax: Syntax<Written>,
        _ isSecret: Bool,
        _ hold: @escaping (Written) -> Value
    ) -> (inout Model, [String]) -> Complaint? {
        { model, texts in
            guard let text = texts.last else { return nil }
            guard let value = syntax.parse(text) else {
                return syntax.complaint(about: text, isSecret: isSecret)
            }
            model[keyPath: path] = hold(value)
            return nil
        }
    }

    /// - Parameter check: the problem of the values together, if each alone is valid.
    static func list<Value>(
        _ key: String,
        _ path: WritableKeyPath<Model, [Value]>,
        _ syntax: Syntax<Value>,
        flag: String? = nil,
        _ doc: String,
        check: @escaping ([Value]) -> Complaint? = { _ in nil }
    ) -> Setting {
        Setting(
            key: key,
            doc: doc,
            flag: flag.map { name in
                Flag(name: name, isSeparated: true) { model, texts in
                    var values: [Value] = []
                    if let complaint = syntax.read(texts, into: &values) ?? check(values) { return complaint }
                    model[keyPath: path] = values
                    return nil
                }
            },
            shape: .list(syntax.form, isNonempty: false),
            decode: { node, model, problems in
                guard let values = problems.values(of: node, key, syntax) else { return }
                model[keyPath: path] = values
                // Problems of single values are already reported.
                guard case .list(let items) = node.content, items.count == values.count,
                    let complaint = check(values)
                else { return }
                problems.add(node.place, key.quoted + complaint.what, expected: complaint.expected)
            },
            render: { "[\($0[keyPath: path].map(syntax.json).joined(separator: ", "))]" }
        )
    }

    /// A list that may be left out, but not be empty, because it restricts something by naming what is allowed.
    static func criterion<Value>(
        _ key: String,
        _ path: WritableKeyPath<Model, [Value]?>,
        _ syntax: Syntax<Value>,
        flag: String? = nil,
        _ doc: String
    ) -> Setting {
        Setting(
            key: key,
            doc: doc,
            flag: flag.map { name in
                Flag(name: name, isSeparated: true) { model, texts in
                    var values: [Value] = []
                    if let complaint = syntax.read(texts, into: &values) { return complaint }
                    model[keyPath: path] = values
                    return nil
                }
            },
            shape: .list(syntax.form, isNonempty: true),
            decode: { node, model, problems in
                guard let values = problems.values(of: node, key, syntax) else { return }
                if case .list(let items) = node.content, items.isEmpty {
                    problems.add(
                        node.place,
                        "\(key.quoted) is an empty list",
                        expected: "at least one, or no \(key) at all"
                    )
                }
                model[keyPath: path] = values
            },
            render: { model in
                model[keyPath: path].map { "[\($0.map(syntax.json).joined(separator: ", "))]" }
            }
        )
    }

    /// Keys about one subject, which share a section of the file and this model.
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

    /// A section with a model of its own, which exists only if the section does.
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
        flag: Flag? = nil,
        _ doc: String
    ) -> Setting {
        Setting(
            key: key,
            doc: doc,
            flag: flag,
            shape: .sections(Description(table, defaults: nil)),
            decode: { node, model, problems in
                let example = table.example.map { ": - \($0)" } ?? ""
                let expected = "a list of sections, each with '- ' before it\(example)"
                guard let items = problems.items(of: node, key, expected) else { return }
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

// MARK: - Either of two

extension Setting {
    /// One value, or a list of at least one.
    static func oneOrMore<Value>(
        _ key: String,
        _ path: WritableKeyPath<Model, [Value]>,
        _ syntax: Syntax<Value>,
        _ doc: String
    ) -> Setting {
        Setting(
            key: key,
            doc: doc,
            shape: .oneOrMore(syntax.form),
            decode: { node, model, problems in
                guard case .list(let items) = node.content else {
                    if let value = problems.value(of: node, key, syntax, false) {
                        model[keyPath: path] = [value]
                    }
                    return
                }
                if items.isEmpty {
                    problems.add(node.place, "\(key.quoted) is an empty list", expected: "at least one")
                }
                model[keyPath: path] = problems.values(of: node, key, syntax) ?? []
            },
            render: { model in
                let values = model[keyPath: path].map(syntax.json)
                return values.count == 1 ? values[0] : "[\(values.joined(separator: ", "))]"
            }
        )
    }

    /// A word, or a section with details.
    ///
    /// - Parameters:
    ///   - hold: converts a section to the model's value.
    ///   - part: the section that a value is written as; `nil` if it is written as a word.
    static func valueOrSection<Value, Part>(
        _ key: String,
        _ path: WritableKeyPath<Model, Value?>,
        _ syntax: Syntax<Value>,
        _ table: Table<Part>,
        new: @escaping () -> Part,
        hold: @escaping (Part) -> Value,
        part: @escaping (Value) -> Part?,
        _ doc: String
    ) -> Setting {
        Setting(
            key: key,
            doc: doc,
            shape: .valueOrSection(syntax.form, Description(table, defaults: new())),
            decode: { node, model, problems in
                guard case .mapping = node.content else {
                    if let value = problems.value(of: node, key, syntax, false) {
                        model[keyPath: path] = value
                    }
                    return
                }
                var section = new()
                table.decode(node, key, into: &section, problems)
                model[keyPath: path] = hold(section)
            },
            render: { model in
                model[keyPath: path].map { value in part(value).map(table.render) ?? syntax.json(value) }
            }
        )
    }
}

extension Syntax {
    /// - Returns: the problem of the first invalid text.
    fileprivate func read(_ texts: [String], into values: inout [Value]) -> Complaint? {
        for text in texts {
            guard let value = parse(text) else { return complaint(about: text, isSecret: false) }
            values.append(value)
        }
        return nil
    }

    /// A number or truth value without quotes, otherwise a string.
    func json(_ value: Value) -> String {
        let text = write(value)
        switch form {
        case .integer where Int(text) != nil: return text
        case .boolean where ["true", "false"].contains(text): return text
        case .integer, .boolean, .text, .words, .pattern: return text.json
        }
    }
}

extension Problems {
    /// The values of a list, without invalid ones.
    fileprivate func values<Value>(of node: YAMLNode, _ key: String, _ syntax: Syntax<Value>) -> [Value]? {
        items(of: node, key, "a list in brackets, each \(syntax.expected)")?
            .compactMap { value(of: $0, key, syntax, false) }
    }
}
