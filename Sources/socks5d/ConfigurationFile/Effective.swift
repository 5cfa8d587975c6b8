/// The settings that hold, each with where it came from: defaults, then a file, then the environment, then
/// flags; what comes later wins.
struct Effective<Model> {
    enum Origin: Equatable {
        case standard
        case file(String, Place)
        case variable(String)
        case flag(String)

        var description: String {
            switch self {
            case .standard: "default"
            case .file(let name, let place): "\(name.printable):\(place.line)"
            case .variable(let name), .flag(let name): name
            }
        }
    }

    /// A flag or variable whose value is none.
    struct Misfit: Error, Equatable {
        let origin: Origin
        /// `nil`: secret.
        let text: String?
        let expected: String

        var description: String {
            "\(origin.description) is \(text?.quoted ?? "no such value"); expected \(expected)"
        }
    }

    private(set) var model: Model
    private var origins: [String: Origin] = [:]
    private let table: Table<Model>

    init(_ table: Table<Model>, defaults: Model) {
        self.table = table
        model = defaults
    }

    /// Takes what the file says. With problems, the settings aren't to be used.
    mutating func read(file name: String, _ bytes: [UInt8], _ problems: Problems) {
        guard let root = YAMLReader.read(bytes, problems: problems) else { return }
        table.decode(root, nil, into: &model, problems)
        note(root, table.settings, "", name)
    }

    private mutating func note(
        _ node: YAMLNode,
        _ settings: [Setting<Model>],
        _ prefix: String,
        _ name: String
    ) {
        guard case .mapping(let entries) = node.content else { return }
        for entry in entries {
            guard let setting = settings.first(where: { $0.key == entry.key }) else { continue }
            origins[prefix + entry.key] = .file(name, entry.place)
            note(entry.value, setting.group, "\(prefix)\(entry.key).", name)
        }
    }

    /// - Parameter variable: The value of an environment variable, by its name.
    mutating func read(environment variable: (String) -> String?) throws(Misfit) {
        try assign { flag, isList in
            let name = "SOCKS5D_" + String(flag.map { $0 == "-" ? "_" : $0 }).uppercased()
            guard let text = variable(name) else { return nil }
            let parts = isList ? text.split { $0 == "," || $0 == " " }.map(String.init) : [text]
            // An empty variable is a mistake, and is reported as the value that it isn't.
            return (parts.isEmpty ? [""] : parts, .variable(name))
        }
    }

    /// - Parameter values: Those of a flag, by its name behind `--`; empty: not given.
    mutating func read(flags values: (String) -> [String]) throws(Misfit) {
        try assign { flag, _ in
            let texts = values(flag)
            return texts.isEmpty ? nil : (texts, .flag("--\(flag)"))
        }
    }

    private mutating func assign(
        _ source: (_ flag: String, _ isList: Bool) -> (texts: [String], origin: Origin)?
    ) throws(Misfit) {
        for (path, setting) in Self.leaves(table.settings) {
            guard let flag = setting.flag, let assign = setting.assign else { continue }
            let (isList, expected): (Bool, String)
            switch setting.shape {
            case .value(_, let words): (isList, expected) = (false, words)
            case .list(_, let words): (isList, expected) = (true, words)
            case .section, .sections: continue
            }
            guard let (texts, origin) = source(flag, isList) else { continue }
            if let text = assign(&model, texts) {
                throw Misfit(origin: origin, text: setting.isSecret ? nil : text, expected: expected)
            }
            origins[path] = origin
        }
    }

    /// `config show`: a line a setting, YAML with the origin as its comment.
    var lines: [String] {
        Self.leaves(table.settings).map { path, setting in
            let value = setting.render(model).map { setting.isSecret ? "(hidden)".json : $0 } ?? "null"
            return "\(path): \(value)  # \((origins[path] ?? .standard).description)"
        }
    }

    private static func leaves(_ settings: [Setting<Model>], _ prefix: String = "") -> [(
        String, Setting<Model>
    )] {
        settings.flatMap { setting in
            setting.group.isEmpty
                ? [(prefix + setting.key, setting)] : leaves(setting.group, "\(prefix)\(setting.key).")
        }
    }
}
