internal import Text

/// The effective settings, each with its origin: defaults, then a file, then the environment, then flags; later ones
/// take precedence.
struct Effective<Model> {
    enum Origin: Equatable {
        case standard
        case file(String, Place)
        case variable(String)
        case flag(String)

        var description: String {
            switch self {
            case .standard: "default"
            case .file(let name, let place): "\(name.printable):\(place.line):\(place.column)"
            case .variable(let name), .flag(let name): name
            }
        }
    }

    /// A flag or variable with an invalid value.
    struct Misfit: Error, Equatable {
        let origin: Origin
        let complaint: Complaint

        var description: String { origin.description + complaint.description }
    }

    var model: Model
    /// The path of the file; `nil` if none was read.
    private(set) var file: String?
    private var root: YAMLNode?
    private(set) var origins: [String: Origin] = [:]
    private let table: Table<Model>

    init(_ table: Table<Model>, defaults: Model, origins: [String: Origin] = [:]) {
        self.table = table
        model = defaults
        self.origins = origins
    }

    /// Reads the settings of the file. If there are problems, the settings must not be used.
    mutating func read(file name: String, _ bytes: [UInt8], _ problems: Problems) {
        file = name
        guard let root = YAMLReader.read(bytes, problems: problems) else { return }
        self.root = root
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

    /// Reads the flags, and a variable if its flag isn't given.
    ///
    /// - Parameters:
    ///   - only: the path of the only setting to read; `nil` for all.
    ///   - flags: the values of a flag, by its name without `--`; empty if it isn't given.
    ///   - variables: the value of an environment variable, by its complete name.
    mutating func read(
        only: String? = nil,
        flags: (String) -> [String],
        variables: (String) -> String?
    ) throws(Misfit) {
        for (path, setting) in Self.leaves(table.settings) where only ?? path == path {
            guard let flag = setting.flag,
                let (texts, origin) = try Self.texts(flag, flags, variables)
            else { continue }
            if let complaint = flag.assign(&model, texts) {
                throw Misfit(origin: origin, complaint: complaint)
            }
            for path in [path] + flag.replaces { origins[path] = origin }
        }
    }

    private static func texts(
        _ flag: Setting<Model>.Flag,
        _ flags: (String) -> [String],
        _ variables: (String) -> String?
    ) throws(Misfit) -> ([String], Origin)? {
        let given = flags(flag.name)
        if !given.isEmpty {
            let texts =
                flag.isSeparated
                ? given.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }.map(
                    String.init
                )
                : given
            return (texts, .flag("--\(flag.name)"))
        }
        let name = Environment.variable(of: flag.name)
        guard let text = variables(name) else { return nil }
        if let complaint = Environment.complaint(about: text, of: name) {
            throw Misfit(origin: .variable(name), complaint: complaint)
        }
        let texts = flag.isSeparated ? text.split { $0 == "," || $0 == " " }.map(String.init) : [text]
        // An empty variable is a mistake, and is reported as an invalid value.
        return (texts.isEmpty ? [""] : texts, .variable(name))
    }

    /// - Parameter path: the keys from the outermost one on, separated by dots.
    func origin(of path: String) -> Origin { origins[path] ?? .standard }

    /// As an operator has named the setting: the place in the file, the variable or the flag; else its path.
    func name(of path: String) -> String {
        origin(of: path) == .standard ? path : origin(of: path).description
    }

    /// The place in the file that sets the effective value.
    func place(of path: String) -> String? {
        if case .file = origin(of: path) { origin(of: path).description } else { nil }
    }

    /// A step into the file: a key, or a position in a list.
    enum Step: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
        case key(String)
        case item(Int)

        init(stringLiteral key: String) { self = .key(key) }
        init(integerLiteral index: Int) { self = .item(index) }
    }

    /// The place of a value in the file, in the form that begins a message.
    ///
    /// - Parameter steps: from a section's first key on. `nil` if the setting doesn't come from the file, or has no
    ///   such value.
    func place(of steps: Step...) -> String? { place(of: steps) }

    func place(of steps: [Step]) -> String? {
        file.flatMap { file in place(in: steps).map { Origin.file(file, $0).description } }
    }

    /// As above without the column, for a message about the whole section.
    func line(of steps: [Step]) -> String? {
        file.flatMap { file in place(in: steps).map { "\(file.printable):\($0.line)" } }
    }

    private func place(in steps: [Step]) -> Place? {
        guard let root, case .key(let setting)? = steps.first, case .file = origin(of: setting) else {
            return nil
        }
        var node = root
        for step in steps {
            switch (step, node.content) {
            case (.key(let key), .mapping(let entries)):
                guard let entry = entries.first(where: { $0.key == key }) else { return nil }
                node = entry.value
            case (.item(let index), .list(let items)):
                guard items.indices.contains(index) else { return nil }
                node = items[index]
            case (_, _):
                return nil
            }
        }
        return node.place
    }

    /// The settings in the table's order. Unwanted ones aren't rendered, since they may be megabytes.
    func rows(where isWanted: (String) -> Bool = { _ in true }) -> [EffectiveRow] {
        Self.leaves(table.settings).filter { isWanted($0.0) }.map { path, setting in
            let value = setting.render(model).map { setting.isSecret ? "(hidden)".json : $0 }
            return EffectiveRow(path: path, value: value, origin: origin(of: path).description)
        }
    }

    static func leaves(_ settings: [Setting<Model>], _ prefix: String = "") -> [(
        String, Setting<Model>
    )] {
        settings.flatMap { setting in
            setting.group.isEmpty
                ? [(prefix + setting.key, setting)] : leaves(setting.group, "\(prefix)\(setting.key).")
        }
    }
}

/// An effective setting, without its secret parts.
struct EffectiveRow: Sendable, Equatable {
    let path: String
    /// As JSON; `nil` if it isn't set.
    let value: String?
    let origin: String

    /// YAML with the origin as its comment.
    var line: String { "\(path): \(value ?? "null")  # \(origin)" }
}
