/// The settings as Markdown tables for docs/configuration.md: one of all keys, and one for the entries of each list.
extension Settings {
    static var reference: [String] {
        let head = ["| file | flag | default | |", "|---|---|---|---|"]
        let entries = Description(table, defaults: nil).entries.flatMap { entry -> [String] in
            guard let description = entry.shape.ofEntries else { return [] }
            let head = ["| key | |", "|---|---|"]
            return ["", "### Entries of `\(entry.key)`", ""] + head + description.rows()
        }
        return head + rows + entries
    }

    /// A row for each key, with its flag, its default and its line of help.
    static var rows: [String] {
        Effective.leaves(table.settings).map { path, setting in
            let standard = setting.render(Settings()).map { $0.filter { !"[]{}\"".contains($0) } } ?? ""
            let cells = [path, setting.flag.map { "--\($0.name)" } ?? "", standard]
            return "|\(cells.map { $0.isEmpty ? " |" : " `\($0)` |" }.joined()) \(setting.doc) |"
        }
    }
}

extension Shape {
    /// The keys of a list of sections, or of sections with user-defined names.
    fileprivate var ofEntries: Description? {
        switch self {
        case .sections(let description), .named(_, let description): description
        case .value, .list, .oneOrMore, .namedValues, .section, .valueOrSection: nil
        }
    }

    /// The keys of the single section that belongs to a key.
    fileprivate var ofSection: Description? {
        switch self {
        case .section(let description), .valueOrSection(_, let description): description
        case .value, .list, .oneOrMore, .namedValues, .sections, .named: nil
        }
    }
}

extension Description {
    /// A row for each key, and for those of its sections. Sections with the same keys, such as `allow` and `deny`, are
    /// listed once.
    fileprivate func rows(in path: String = "") -> [String] {
        var told: [[String]] = []
        return entries.flatMap { entry -> [String] in
            let row = "| `\(path)\(entry.key)` | \(entry.doc) |"
            guard let section = entry.shape.ofSection, !told.contains(section.entries.map(\.key)) else {
                return [row]
            }
            told.append(section.entries.map(\.key))
            return [row] + section.rows(in: "\(path)\(entry.key).")
        }
    }
}
