/// A ``Table`` without its model, from which the schema, the help and the documentation are generated.
struct Description {
    struct Entry {
        let key: String
        let doc: String
        let isSecret: Bool
        let shape: Shape
        /// As JSON; `nil` if it isn't set or is secret.
        let standard: String?
    }

    let entries: [Entry]
    let required: [String]
    let alternatives: [String]

    init<Model>(_ table: Table<Model>, defaults: Model?) {
        required = table.required
        alternatives = table.alternatives
        entries = table.settings.map { setting in
            let shape: Shape =
                setting.group.isEmpty
                ? setting.shape : .section(Description(Table(setting.group), defaults: defaults))
            return Entry(
                key: setting.key,
                doc: setting.doc,
                isSecret: setting.isSecret,
                shape: shape,
                standard: setting.isSecret || !setting.group.isEmpty ? nil : defaults.flatMap(setting.render)
            )
        }
    }

    /// A JSON Schema (draft 2020-12) of the file.
    func schema(title: String) -> String {
        let members = [
            "\"$schema\": \"https://json-schema.org/draft/2020-12/schema\"", "\"title\": \(title.json)",
        ]
        return Self.object(members + self.members(indent: 1), indent: 0) + "\n"
    }

    private func members(indent: Int) -> [String] {
        let properties = entries.map { "\($0.key.json): \($0.schema(indent: indent + 1))" }
        var members = [
            "\"type\": \"object\"", "\"additionalProperties\": false",
            "\"properties\": \(Self.object(properties, indent: indent))",
        ]
        if !required.isEmpty {
            members.append("\"required\": [\(required.map(\.json).joined(separator: ", "))]")
        }
        if !alternatives.isEmpty {
            let choices = alternatives.map { "{\"required\": [\($0.json)]}" }
            members.append("\"oneOf\": [\(choices.joined(separator: ", "))]")
        }
        return members
    }

    fileprivate static func object(_ members: [String], indent: Int) -> String {
        guard !members.isEmpty else { return "{}" }
        let margin = String(repeating: "  ", count: indent)
        return "{\n" + members.map { "\(margin)  \($0)" }.joined(separator: ",\n") + "\n\(margin)}"
    }

    fileprivate func schema(indent: Int, _ first: [String]) -> String {
        Self.object(first + members(indent: indent + 1), indent: indent)
    }
}

extension Description.Entry {
    fileprivate func schema(indent: Int) -> String {
        var members = ["\"description\": \(doc.json)"]
        if isSecret { members.append("\"writeOnly\": true") }
        if let standard { members.append("\"default\": \(standard)") }
        switch shape {
        case .value(let form): members += form.schema
        case .list(let form, let isNonempty):
            members += ["\"type\": \"array\"", "\"items\": {\(form.schema.joined(separator: ", "))}"]
            if isNonempty { members.append("\"minItems\": 1") }
        case .oneOrMore(let form): members.append(form.schemaOfOneOrMore)
        case .namedValues(let name, let form):
            members += [
                "\"type\": \"object\"", "\"propertyNames\": {\(name.schema.joined(separator: ", "))}",
                "\"additionalProperties\": {\(form.schemaOfOneOrMore)}",
            ]
        case .valueOrSection(let form, let description):
            let word = "{\(form.schema.joined(separator: ", "))}"
            members.append("\"oneOf\": [\(word), \(description.schema(indent: indent + 1, []))]")
        case .section(let description): return description.schema(indent: indent, members)
        case .named(let form, let description):
            members += [
                "\"type\": \"object\"", "\"propertyNames\": {\(form.schema.joined(separator: ", "))}",
                "\"additionalProperties\": \(description.schema(indent: indent + 1, []))",
            ]
        case .sections(let description):
            members += ["\"type\": \"array\"", "\"items\": \(description.schema(indent: indent + 1, []))"]
        }
        return Description.object(members, indent: indent)
    }
}

extension SyntaxForm {
    fileprivate var schemaOfOneOrMore: String {
        let one = "{\(schema.joined(separator: ", "))}"
        return "\"oneOf\": [\(one), {\"type\": \"array\", \"items\": \(one), \"minItems\": 1}]"
    }

    fileprivate var schema: [String] {
        switch self {
        // YAML reads 1 and true as other types than strings, but the decoder uses their text.
        case .text: ["\"type\": [\"string\", \"number\", \"boolean\"]"]
        case .integer(let range):
            [
                "\"type\": \"integer\"", "\"minimum\": \(range.lowerBound)",
                "\"maximum\": \(range.upperBound)",
            ]
        case .boolean: ["\"type\": \"boolean\""]
        case .words(let words): ["\"enum\": [\(words.map(\.json).joined(separator: ", "))]"]
        case .pattern(let pattern):
            ["\"type\": [\"string\", \"number\"]", "\"pattern\": \("^(\(pattern))$".json)"]
        }
    }
}

extension String {
    /// As a string of both JSON and YAML.
    var json: String {
        let inside = unicodeScalars.map { scalar -> String in
            switch scalar {
            case "\"": return "\\\""
            case "\\": return "\\\\"
            case _
            where scalar.value < 0x20 || (0x7f...0xa0).contains(scalar.value)
                || [0x2028, 0x2029, 0xfeff].contains(scalar.value):
                let digits = String(scalar.value, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: return String(scalar)
            }
        }
        return "\"\(inside.joined())\""
    }
}
