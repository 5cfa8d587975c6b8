internal import ProxyPolicy
internal import SOCKS5Server
internal import Text

/// Reports problems of listeners that are individually valid: between both forms, between two listeners, or between a
/// login and the configured users.
struct ListenerReview {
    private let effective: Effective<Settings>
    private let configuration: Configuration
    private let hasUsers: Bool
    /// One line each, with its place if it has one.
    private(set) var problems: [String] = []
    private(set) var warnings: [String] = []

    /// - Parameters:
    ///   - configuration: made from the settings, including the users of the user file.
    ///   - knowsUsers: false if that file can't be read: then nothing is said about missing users.
    /// - Throws: ``Failure`` for flags beside `listeners`.
    init(_ effective: Effective<Settings>, _ configuration: Configuration, knowsUsers: Bool) throws {
        self.effective = effective
        hasUsers = !knowsUsers || configuration.hasLogins
        self.configuration = configuration
        guard let place = effective.place(of: "listeners") else {
            reviewShortForm()
            return
        }
        guard !entries.isEmpty else {
            problems = ["\(place): 'listeners' is an empty list; expected at least one listener"]
            return
        }
        try reviewBothForms(place)
        reviewAddresses()
        reviewNames()
        for (index, entry) in entries.enumerated() { reviewLogin(of: entry, at: index) }
        reviewCommonRules()
    }

    private var entries: [ListenerEntry] { effective.model.listeners }

    /// The place in the file of the listener with this address.
    static func place(of address: ListenAddress, in effective: Effective<Settings>) -> String? {
        let entries = effective.model.listeners
        guard let index = entries.firstIndex(where: { $0.addresses.contains(address) }) else {
            return effective.place(of: "listen")
        }
        return effective.place(of: "listeners", .item(index))
    }

    private mutating func refuse(_ place: String?, _ text: String) {
        problems.append((place.map { "\($0): " } ?? "") + text)
    }

    private mutating func warn(_ place: String) {
        warnings.append(
            "\(place): clients that need no login are named, and there are no users: nobody logs in"
        )
    }

    /// If a flag or the file sets both forms, it isn't clear which one is meant. Only SOCKS5D_LISTEN is ignored: an
    /// image sets it for everyone who doesn't configure an address.
    private mutating func reviewBothForms(_ place: String) throws {
        for key in ["listen", "clients", "login-except", "protocols", "proxy-protocol"] + TLSSettings.paths {
            let origin = effective.origin(of: key)
            switch origin {
            case .standard: break
            case .file: refuse(origin.description, "'\(key)' beside 'listeners'; expected one of both")
            case .flag:
                throw Failure.usage(
                    "\(origin.description) beside 'listeners' (\(place)); expected one of both"
                )
            case .variable(let name) where key == "listen":
                warnings.append("\(name) isn't used, since there are 'listeners' (\(place))")
            case .variable(let name):
                refuse(nil, "\(name) beside 'listeners' (\(place)); expected one of both")
            }
        }
    }

    private mutating func reviewShortForm() {
        reviewTLS()
        guard effective.model.loginExcept != nil, !hasUsers else { return }
        warn(effective.origin(of: "login-except").description)
    }

    /// Flags and variables may set only one of the two.
    private mutating func reviewTLS() {
        let tls = effective.model.tls
        let (path, missing) =
            tls.certificate == nil ? ("tls.key", "tls.certificate") : ("tls.certificate", "tls.key")
        guard !tls.isEmpty, tls.certificate == nil || tls.key == nil else { return }
        let given = TLSSettings.paths.first { effective.origin(of: $0) != .standard }
        let place = given.map { effective.origin(of: $0).description }
        if tls.certificate == nil, tls.key == nil, let given {
            refuse(place, "'\(given)' without 'tls.certificate' and 'tls.key'; expected both beside it")
        } else {
            refuse(place, "no '\(missing)' beside '\(path)'; expected both")
        }
    }

    private mutating func reviewAddresses() {
        var known: [(address: ListenAddress, index: Int)] = []
        for (index, entry) in entries.enumerated() {
            for (number, address) in entry.addresses.enumerated() {
                if let earlier = known.first(where: { $0.address.overlaps(address) }) {
                    let other = earlier.address == address ? "" : ", which overlaps \(earlier.address)"
                    refuse(
                        effective.place(of: "listeners", .item(index), "address", .item(number))
                            ?? effective.place(of: "listeners", .item(index), "address"),
                        "'address' is \(address)\(other) of listener \(earlier.index + 1); expected another port"
                    )
                }
                known.append((address, index))
            }
        }
    }

    private mutating func reviewNames() {
        for (index, entry) in entries.enumerated() {
            guard let name = entry.name, entries[..<index].contains(where: { $0.name == name }) else {
                continue
            }
            refuse(
                effective.place(of: "listeners", .item(index), "name"),
                "listener '\(name)' is given twice; expected another name"
            )
        }
    }

    private mutating func reviewLogin(of entry: ListenerEntry, at index: Int) {
        switch entry.login {
        case nil, .asConfigured: break
        case .except:
            let place = effective.place(of: "listeners", .item(index), "login")
            if !hasLogins(entry) { warn(place ?? "login") }
        case .required:
            if hasLogins(entry) { break }
            refuse(
                effective.place(of: "listeners", .item(index), "login"),
                "'login' is required, and there are no users; expected users, or no 'login'"
            )
        case .never where entry.namesClients: break
        case .never:
            for (number, rule) in entry.rules.enumerated() {
                guard let criteria = rule.rule, criteria.users != nil else { continue }
                refuse(
                    effective.place(
                        of: "listeners",
                        .item(index),
                        "rules",
                        .item(number),
                        .key(criteria.action.rawValue),
                        "users"
                    ),
                    "rule \(number + 1) is about users, and nobody logs in at this listener (login: never)"
                )
            }
        }
    }

    private func hasLogins(_ entry: ListenerEntry) -> Bool { hasUsers || entry.gssapi != nil }

    private mutating func reviewCommonRules() {
        guard entries.allSatisfy({ $0.login == .never && !$0.namesClients }) else {
            return
        }
        for (index, rule) in configuration.rules.enumerated() where rule.users != nil {
            refuse(
                effective.place(of: "rules", .item(index), .key(rule.action.rawValue), "users"),
                "rule \(index + 1) is about users, and nobody logs in at any listener (login: never)"
            )
        }
    }
}
