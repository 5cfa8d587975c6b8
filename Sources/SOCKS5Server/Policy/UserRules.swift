/// The rules that users have of their own. Users with the same rules share one table, and the others cost nothing.
struct UserRules: Sendable {
    private let tables: [RuleTable]
    private let tableOfUser: [[UInt8]: Int32]

    init(_ users: [Configuration.User]) {
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
    var count: Int { tables.count }
    var isEmpty: Bool { tables.isEmpty }

    /// `nil`: none of the user's rules matches.
    func verdict(on target: RuleTable.Target, to requester: Requester) -> RuleTable.Verdict? {
        guard !isEmpty, let user = requester.user, let place = tableOfUser[user] else { return nil }
        return tables[Int(place)].verdict(on: target, to: requester)
    }
}
