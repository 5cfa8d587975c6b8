internal import Glibc
internal import ProxyPolicy
internal import SOCKS5Server
internal import Text

/// Finds settings that are valid but probably not intended. Each is a warning; nothing is refused.
///
/// Only certain findings are reported: a wrong warning would teach people to ignore the others.
struct Review {
    /// One line each, with its place if it has one.
    private(set) var warnings: [String] = []

    private static let mostWarnings = 50

    let effective: Effective<Settings>
    let configuration: Configuration

    /// - Parameter configuration: made from the settings, including the users of the user file.
    init(_ effective: Effective<Settings>, _ configuration: Configuration) {
        self.effective = effective
        self.configuration = configuration
        reviewUsers()
        reviewRules(configuration.rules, "") { effective.place(of: "rules", .item($0), .key($1)) }
        reviewListeners()
        reviewUsersOfRules()
        for (index, user) in effective.model.users.enumerated() {
            reviewRules(user.rules.compactMap(\.rule), " of \(Self.title(user.name))") {
                effective.place(of: "users", .item(index), "rules", .item($0), .key($1))
            }
        }
        reviewNamesThatAddressesPass()
        reviewRoutes()
        reviewSessionIDs()
        reviewQuotaFile()
        if warnings.count > Self.mostWarnings {
            let more = warnings.count - Self.mostWarnings
            warnings = warnings.prefix(Self.mostWarnings) + ["... and \(more) more warnings"]
        }
    }

    mutating func warn(_ place: String?, _ text: String) {
        warnings.append((place.map { "\($0): " } ?? "") + text)
    }

    static func title(_ name: [UInt8]) -> String {
        "user \(String(decoding: name, as: UTF8.self).quotedName)"
    }

    // MARK: - Users

    private mutating func reviewUsers() {
        let origin = effective.origin(of: "users")
        for (index, user) in effective.model.users.enumerated() {
            switch origin {
            case .standard: break
            case .file: review(user, at: index)
            case .variable(let name):
                let other = "SOCKS5D_USER_FILE"
                review(
                    user,
                    by: name,
                    several: "for several users use \(other)",
                    hash: "a hash belongs in \(other)"
                )
                reviewLeftovers(of: user, name)
            case .flag(let name):
                review(
                    user,
                    by: name,
                    several: "repeat \(name) for several users",
                    hash: "a hash belongs in a user file"
                )
            }
        }
    }

    /// Characters that are common in a file of variables, but that Docker's `--env-file` takes as part of the value.
    private mutating func reviewLeftovers(of user: Settings.UserEntry, _ variable: String) {
        guard let password = user.password, password.count > 1, let first = password.first else { return }
        let hasQuotes = first == password.last && "\"'".utf8.contains(first)
        let hasComment = zip(password, password.dropFirst()).contains {
            $0 == UInt8(ascii: " ") && $1 == UInt8(ascii: "#")
        }
        guard hasQuotes || hasComment else { return }
        warn(
            nil,
            "\(variable): the \(hasQuotes ? "quotes around" : "'#' behind a space in") the password of "
                + "\(Self.title(user.name)) \(hasQuotes ? "are" : "is") part of it, as Docker's --env-file takes it"
        )
    }

    private mutating func review(_ user: Settings.UserEntry, at index: Int) {
        if user.name.contains(UInt8(ascii: ":")) {
            warn(
                effective.place(of: "users", .item(index), "name"),
                "the name of \(Self.title(user.name)) has a colon; most clients end the name there, and can't log in"
            )
        }
        guard let password = user.password, PasswordHash.isLikely(password) else { return }
        warn(
            effective.place(of: "users", .item(index), "password"),
            "the password of \(Self.title(user.name)) looks like a hash; a hash is given by 'password-hash'"
        )
    }

    /// A user from a flag or variable.
    private mutating func review(
        _ user: Settings.UserEntry,
        by origin: String,
        several: String,
        hash: String
    ) {
        guard let password = user.password else { return }
        if PasswordHash.isLikely(password) {
            warn(nil, "\(origin): the password of \(Self.title(user.name)) looks like a hash; \(hash)")
        }
        if Self.looksLikeAnotherUser(password) {
            warn(
                nil,
                "\(origin) is one \(Self.title(user.name)), whose password looks like further users; \(several)"
            )
        }
    }

    /// Whether a password continues like a list of users: `secret,bob:secret`.
    private static func looksLikeAnotherUser(_ password: [UInt8]) -> Bool {
        password.split { ",; \n".utf8.contains($0) }.dropFirst().contains { word in
            guard let colon = word.firstIndex(of: UInt8(ascii: ":")), colon > word.startIndex else {
                return false
            }
            let isName = word[..<colon].allSatisfy { byte in
                Character(Unicode.Scalar(byte)).isLetter || Character(Unicode.Scalar(byte)).isNumber
                    || "-_.@".utf8.contains(byte)
            }
            return isName && colon < word.endIndex - 1
        }
    }

    // MARK: - Rules

    /// - Parameters:
    ///   - owner: the owner of the rules, which follows "rule 3" in messages.
    ///   - place: the place of the criteria of a rule, by its index and action.
    mutating func reviewRules(_ rules: [Rule], _ owner: String, _ place: (Int, String) -> String?) {
        for (index, earlier) in rules.hidden() {
            warn(
                place(index, rules[index].action.rawValue),
                "rule \(index + 1)\(owner) never decides: rule \(earlier + 1) comes first and matches each of its requests"
            )
        }
        guard configuration.guardsDestinations else { return }
        for (index, rule) in rules.enumerated() where rule.action == .allow {
            guard let networks = rule.networks,
                networks.allSatisfy({ configuration.destinationGuard.exceptions.keepClosed($0) })
            else { continue }
            warn(
                place(index, "allow"),
                "rule \(index + 1)\(owner) allows nothing: the destination guard keeps its networks closed, unless "
                    + "guard.allow (--allow-destinations) names them"
            )
        }
    }

    private mutating func reviewUsersOfRules() {
        let known = Set(configuration.users.map(\.name))
        for (index, rule) in configuration.rules.enumerated() {
            for (number, name) in (rule.users ?? []).enumerated() where !known.contains(name) {
                let action = rule.action.rawValue
                warn(
                    effective.place(of: "rules", .item(index), .key(action), "users", .item(number)),
                    "rule \(index + 1) is about \(Self.title(name)), who doesn't exist"
                        + (known.isEmpty ? ": without users, no login is required" : "")
                )
            }
        }
    }

    /// Reported once, at the first rule: the others have the same gap, and the same remedy.
    private mutating func reviewNamesThatAddressesPass() {
        let rules = configuration.rules
        var place: String?
        if let index = rules.firstIndex(where: { rules.addressesPass($0) }) {
            place = effective.place(of: "rules", .item(index), "deny", "domains") ?? ""
        }
        for (index, user) in effective.model.users.enumerated() where place == nil {
            let own = user.rules.compactMap(\.rule)
            guard let rule = own.firstIndex(where: { (own + rules).addressesPass($0) }) else { continue }
            place = effective.place(of: "users", .item(index), "rules", .item(rule), "deny", "domains") ?? ""
        }
        guard let place else { return }
        warn(
            place,
            "'domains' denies names only: a client that sends the address of such a host instead gets through; "
                + "'networks' denies addresses"
        )
    }

    // MARK: - Files

    /// The file is replaced by a new one written beside it, so its folder matters.
    private mutating func reviewSessionIDs() {
        guard configuration.egress.choose == .sameForSessionID, !configuration.hasSessionIDs else { return }
        warn(
            effective.place(of: "egress", "choose"),
            "'same-for-session-id' chooses at random: without 'session-ids: true' no user name has an id"
        )
    }

    private mutating func reviewQuotaFile() {
        guard let path = configuration.limits.quotaFile else { return }
        let folder = path.folderOfPath
        guard access(folder, W_OK | X_OK) != 0 else { return }
        warn(
            effective.place(of: "limits", "quota-file"),
            "the quota file \(path.printable) can't be written: the folder \(folder.printable): "
                + String(cString: strerror(errno))
        )
    }
}
