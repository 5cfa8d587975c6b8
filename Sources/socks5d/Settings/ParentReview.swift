internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

/// Reports problems of parents and routes that are individually valid: unknown names, circles, and contradictory
/// settings.
struct ParentReview {
    private let effective: Effective<Settings>
    private let entries: [String: ParentEntry]
    /// One line each, with its place if it has one.
    private(set) var problems: [String] = []

    init(_ effective: Effective<Settings>) {
        self.effective = effective
        entries = Dictionary(effective.model.parents.map { ($0.name, $0) }) { first, _ in first }
        for entry in effective.model.parents {
            if entry.members == nil { reviewLogin(of: entry) }
            reviewKeys(of: entry)
            reviewTLS(of: entry)
            reviewPlace(of: entry)
            reviewChain(of: entry)
            reviewMembers(of: entry)
        }
        reviewRoutes(effective.model.routes, [.key("routes")])
        for (index, listener) in effective.model.listeners.enumerated() {
            reviewRoutes(listener.routes, [.key("listeners"), .item(index), .key("routes")])
        }
        for (index, user) in effective.model.users.enumerated() {
            reviewRoutes(user.routes, [.key("users"), .item(index), .key("routes")])
        }
    }

    private typealias Steps = [Effective<Settings>.Step]

    private mutating func refuse(_ steps: Steps, _ text: String) {
        let place: String? =
            switch effective.origin(of: "parents") {
            case .flag(let name), .variable(let name): name
            case .file, .standard: effective.place(of: steps)
            }
        problems.append((place.map { "\($0): " } ?? "") + text)
    }

    private mutating func refuse(_ entry: ParentEntry, _ key: String, _ text: String) {
        refuse([.key("parents"), .key(entry.name), .key(key)], text)
    }

    /// Reports a name that is unknown, or that is a group's where a parent is needed.
    ///
    /// - Returns: whether it has reported one.
    private mutating func refuseUnknown(_ name: String, _ steps: Steps, needsParent: Bool) -> Bool {
        guard let entry = entries[name] else {
            let known = Array(entries.keys).sorted()
            let suggestion = known.nearest(to: name).map { "; did you mean '\($0)'?" } ?? ""
            refuse(steps, "no parent is called '\(name)'\(suggestion)")
            return true
        }
        guard needsParent, entry.members != nil else { return false }
        refuse(steps, "'\(name)' is a group; expected a parent")
        return true
    }

    // MARK: - One parent

    private mutating func reviewLogin(of entry: ParentEntry) {
        let hasPassword = entry.password != nil || entry.passwordFile != nil
        let key = entry.passwordFile == nil ? "password" : "password-file"
        if entry.password != nil, entry.passwordFile != nil {
            refuse(entry, "password", "'password' beside 'password-file'; expected one of both")
        }
        guard let kind = entry.kind?.kind else { return }
        if entry.user == nil, hasPassword {
            refuse(entry, key, "\(key.quoted) without 'user'; expected both")
        }
        if kind == .socks4, hasPassword {
            refuse(entry, key, "\(key.quoted) of a SOCKS4 proxy, which takes a user alone")
        }
        if let user = entry.user,
            let problem = kind.problem(
                withUser: user,
                hasPassword: hasPassword,
                isPasswordEmpty: entry.password?.count == 0
            )
        {
            refuse(entry, "user", "'user' \(problem)")
        }
    }

    private mutating func reviewKeys(of entry: ParentEntry) {
        let isGroup = entry.members != nil
        let keys: [(String, isThere: Bool)] =
            isGroup
            ? [
                ("user", entry.user != nil), ("password", entry.password != nil),
                ("password-file", entry.passwordFile != nil), ("through", entry.through != nil),
                ("pipelined", entry.isPipelined != nil),
            ] : [("choose", entry.choice != nil), ("check", entry.check != nil)]
        for (key, isThere) in keys where isThere {
            refuse(
                entry,
                key,
                isGroup
                    ? "\(key.quoted) beside 'any-of'; expected it at the members"
                    : "\(key.quoted) without 'any-of'; expected it at a group"
            )
        }
        if let kind = entry.kind?.kind, kind != .socks5, entry.isPipelined == true {
            refuse(entry, "pipelined", "'pipelined' of a proxy that isn't SOCKS5; expected it at 'socks5'")
        }
        if case .unix = entry.kind?.place, entry.through != nil {
            refuse(entry, "through", "'through' beside a unix socket, which no other parent reaches")
        }
    }

    private mutating func reviewTLS(of entry: ParentEntry) {
        let keys = [
            ("ca", entry.authority != nil), ("server-name", entry.serverName != nil),
            ("pin", entry.pin != nil),
        ]
        guard entry.hasTLS else {
            for (key, isThere) in keys where isThere {
                refuse(entry, key, "\(key.quoted) of a parent without TLS; expected 'socks5+tls' or 'https'")
            }
            return
        }
        if case .unix = entry.kind?.place, entry.serverName == nil, entry.pin == nil || entry.authority != nil
        {
            refuse(
                entry,
                entry.kindKey,
                "\(entry.kindKey.quoted) at a unix socket; expected 'server-name' or 'pin'"
            )
        }
        var (seen, next) = ([entry.name], entry.through)
        while let name = next, !seen.contains(name), let other = entries[name] {
            if other.hasTLS {
                return refuse(
                    entry,
                    "through",
                    "TLS behind '\(name)', which has TLS; expected it at one of both"
                )
            }
            seen.append(name)
            next = other.through
        }
    }

    private mutating func reviewPlace(of entry: ParentEntry) {
        guard let (_, place) = entry.kind,
            effective.listenerSettings.contains(where: { $0.address.isPlace(place) })
        else { return }
        refuse(entry, entry.kindKey, "parent '\(entry.name)' is this server itself; expected another place")
    }

    // MARK: - Names

    /// A circle is reported once, at its first member.
    private mutating func reviewChain(of entry: ParentEntry) {
        guard let first = entry.through, entry.members == nil else { return }
        let steps: Steps = [.key("parents"), .key(entry.name), .key("through")]
        if refuseUnknown(first, steps, needsParent: true) { return }
        var chain = [entry.name]
        var next: String? = first
        while let name = next, !chain.contains(name), let other = entries[name] {
            chain.append(name)
            next = other.through
        }
        if next == entry.name {
            guard effective.model.parents.first(where: { chain.contains($0.name) })?.name == entry.name else {
                return
            }
            refuse(
                steps,
                "'through' leads back: \((chain + [entry.name]).joined(separator: " through ")); expected a chain that ends"
            )
        } else if next == nil, chain.count > Parent.longestChain {
            refuse(
                steps,
                "a chain of \(chain.count) parents; expected at most \(Parent.longestChain)"
            )
        }
    }

    private mutating func reviewMembers(of entry: ParentEntry) {
        guard let members = entry.members else { return }
        for (index, member) in members.enumerated() {
            let steps: Steps = [.key("parents"), .key(entry.name), .key("any-of"), .item(index)]
            if refuseUnknown(member.name, steps, needsParent: true) { continue }
            if members[..<index].contains(where: { $0.name == member.name }) {
                refuse(steps, "'\(member.name)' is given twice; expected once")
            }
        }
    }

    private mutating func reviewRoutes(_ routes: [Route], _ list: Steps) {
        for (index, route) in routes.enumerated() {
            guard case .parent(let name) = route.way else { continue }
            _ = refuseUnknown(name, list + [.item(index), .key("via")], needsParent: false)
        }
    }
}

extension Parent.Kind {
    /// The problem of a login, for a message after the word for its user. Contains nothing secret.
    func problem(withUser user: [UInt8], hasPassword: Bool, isPasswordEmpty: Bool) -> String? {
        switch self {
        // HTTP can send an empty password, and some proxies accept a token as the user without a password.
        case .socks5 where isPasswordEmpty: "with an empty password; expected 1 to 255 bytes (RFC 1929)"
        case .socks5: hasPassword ? nil : "without a password; expected one (RFC 1929)"
        case .http where user.contains(UInt8(ascii: ":")): "has a colon, which HTTP can't send (RFC 7617)"
        case .http: hasPassword ? nil : "without a password; expected one (RFC 7617)"
        case .socks4: user.contains(0) ? "has a NUL, which SOCKS4 can't send" : nil
        }
    }
}
