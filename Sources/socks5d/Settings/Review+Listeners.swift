internal import ProxyPolicy
internal import SOCKS5Server

extension Review {
    mutating func reviewListeners() {
        let effective = effective
        for (index, entry) in effective.model.listeners.enumerated() {
            reviewRules(entry.rules.compactMap(\.rule), " of listener \(index + 1)") {
                effective.place(of: "listeners", .item(index), "rules", .item($0), .key($1))
            }
            reviewExceptions(of: entry, at: index)
        }
        reviewUsersThatNobodyAsksFor()
        reviewRulesThatListenersPass()
    }

    /// Networks none of whose clients is served.
    private mutating func reviewExceptions(of entry: ListenerEntry, at index: Int) {
        guard case .except(let networks) = entry.login, let clients = entry.clients else { return }
        for (number, network) in networks.enumerated()
        where !clients.contains(where: { $0.overlaps(network) }) {
            warn(
                effective.place(of: "listeners", .item(index), "login", "except", .item(number)),
                "\(network) needs no login, and has none of the 'clients' that are served"
            )
        }
    }

    private mutating func reviewUsersThatNobodyAsksFor() {
        let isAsked = configuration.listeners.contains { $0.login != .never }
        guard !configuration.users.isEmpty, !isAsked else { return }
        warn(
            effective.place(of: "listeners"),
            "there are users, and no listener asks for a login (login: never)"
        )
    }

    /// Reported once: a rule that denies something to a user, although clients need no name at another listener.
    private mutating func reviewRulesThatListenersPass() {
        let entries = effective.model.listeners
        guard let open = entries.firstIndex(where: { $0.login == .never }),
            entries.contains(where: { $0.login != .never }),
            let index = configuration.rules.firstIndex(where: { $0.action == .deny && $0.users != nil })
        else { return }
        warn(
            effective.place(of: "rules", .item(index), "deny", "users"),
            "rule \(index + 1) denies nothing at listener \(open + 1), where nobody logs in (login: never)"
        )
    }
}
