/// The users' own rules. Users with the same rules share one table, and users without rules cost nothing.
package struct UserRules: Sendable {
    private struct Own {
        let table: Int32
        /// Where the users' rules are written; empty if no rule has a place.
        let places: [String?]
    }

    private let tables: [RuleTable]
    private let ofUser: [[UInt8]: Own]
    /// Whether any rule only reports.
    package let hasReports: Bool

    package init(_ users: [ProxyUser]) {
        var indices: [[Rule]: Int32] = [:]
        var tables: [RuleTable] = []
        var ofUser: [[UInt8]: Own] = [:]
        for user in users where !user.rules.isEmpty {
            let rules = user.rules.map { rule in
                var rule = rule
                rule.place = nil
                return rule
            }
            let table = indices[rules] ?? Int32(tables.count)
            if indices.updateValue(table, forKey: rules) == nil { tables.append(RuleTable(rules)) }
            let places = user.rules.map(\.place)
            ofUser[user.name] = Own(table: table, places: places.allSatisfy { $0 == nil } ? [] : places)
        }
        self.tables = tables
        self.ofUser = ofUser
        hasReports = tables.contains(where: \.hasReports)
    }

    /// The number of tables, not of users.
    package var count: Int { tables.count }
    package var isEmpty: Bool { tables.isEmpty }

    /// `nil` if none of the user's rules matches.
    package func verdict(on known: RuleTable.Known, to subject: Subject) -> RuleTable.Verdict? {
        table(of: subject)?.verdict(on: known, to: subject)
    }

    /// The user's report-only rule that would deny, from 0.
    package func report(of known: RuleTable.Known, to subject: Subject) -> Int? {
        table(of: subject)?.report(of: known, to: subject)
    }

    /// Where a rule of the user is written.
    ///
    /// - Parameter rule: from 0.
    package func place(of rule: Int, of subject: Subject) -> String? {
        guard let user = subject.user, let places = ofUser[user]?.places else { return nil }
        return places.indices.contains(rule) ? places[rule] : nil
    }

    private func table(of subject: Subject) -> RuleTable? {
        guard !isEmpty, let user = subject.user, let own = ofUser[user] else { return nil }
        return tables[Int(own.table)]
    }
}
