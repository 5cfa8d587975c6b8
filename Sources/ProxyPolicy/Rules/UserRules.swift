/// The rules that users have of their own. Users with the same rules share one table, and the others cost nothing.
package struct UserRules: Sendable {
    private let tables: [RuleTable]
    private let tableOfUser: [[UInt8]: Int32]

    package init(_ users: [ProxyUser]) {
        var places: [[Rule]: Int32] = [:]
        var tables: [RuleTable] = []
        var tableOfUser: [[UInt8]: Int32] = [:]
        for user in users where !user.rules.isEmpty {
            let place = places[user.rules] ?? Int32(tables.count)
            if places.updateValue(place, forKey: user.rules) == nil { tables.append(RuleTable(user.rules)) }
            tableOfUser[user.name] = place
        }
        self.tables = tables
        self.tableOfUser = tableOfUser
    }

    /// Tables, not users.
    package var count: Int { tables.count }
    package var isEmpty: Bool { tables.isEmpty }

    /// `nil`: none of the user's rules matches.
    package func verdict(on known: RuleTable.Known, to subject: Subject) -> RuleTable.Verdict? {
        guard !isEmpty, let user = subject.user, let place = tableOfUser[user] else { return nil }
        return tables[Int(place)].verdict(on: known, to: subject)
    }
}
