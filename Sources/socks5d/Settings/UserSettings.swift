internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

// Users in the configuration file: who they are, what they may do and take.

extension Settings.UserEntry {
    static var table: Table<Settings.UserEntry> {
        Table(
            [
                .value("name", \.name, .name, "1 to 255 bytes."),
                .value("password", \.password, .password, isSecret: true, "1 to 255 bytes in plain text."),
                .value(
                    "password-hash",
                    \.hash,
                    .passwordHash,
                    isSecret: true,
                    "What 'socks5d hash-password' makes of the password."
                ),
                .value("expires", \.expiry, .day, "Logins are refused from this day on, 00:00 UTC."),
                .criterion("clients", \.clients, .network, "Networks that the user may log in from."),
                .sections(
                    "rules",
                    \.rules,
                    Settings.RuleEntry.table(ofUser: true),
                    new: { Settings.RuleEntry() },
                    "Looked at before the general ones."
                ),
                .list(
                    "egress-addresses",
                    \.egressAddresses,
                    .egressAddress,
                    "Addresses to connect from, one a family."
                ) { addresses in
                    .secondOfAFamily(addresses)
                },
                .section(
                    "limits",
                    \.limits,
                    Table(UserLimits.settings(\.self)),
                    new: { UserLimits() },
                    "Instead of those of limits.user."
                ),
            ],
            required: ["name"],
            exactlyOneOf: ["password", "password-hash"],
            example: "{name: NAME, password: PASSWORD} (or user-file: FILE)"
        )
    }

    static var flag: Setting<Settings>.Flag {
        Setting<Settings>.Flag(name: "user") { settings, texts in
            let users = texts.map { Syntax<Credentials>.login.parse($0) }
            guard users.allSatisfy({ $0 != nil }) else {
                return Syntax<Credentials>.login.complaint(about: "", isSecret: true)
            }
            settings.users = users.compactMap(\.self).map { login in
                Settings.UserEntry(name: login.username, password: login.password)
            }
            return nil
        }
    }
}

extension Settings.RuleEntry {
    /// - Parameter isOfUser: whether they are a user's own, and so about nobody else.
    static func table(ofUser isOfUser: Bool = false) -> Table<Settings.RuleEntry> {
        let criteria = criteria(ofUser: isOfUser)
        return Table(
            [
                .section(
                    "allow",
                    \.allow,
                    criteria,
                    new: { Rule(.allow) },
                    "Carries out what all of it matches."
                ),
                .section("deny", \.deny, criteria, new: { Rule(.deny) }, "Refuses what all of it matches."),
            ],
            exactlyOneOf: ["allow", "deny"],
            example: "deny: {ports: [25]}"
        )
    }

    private static func criteria(ofUser isOfUser: Bool) -> Table<Rule> {
        let users: [Setting<Rule>] =
            isOfUser ? [] : [.criterion("users", \.users, .name, "Who has logged in.")]
        return Table(
            users + [
                .criterion("clients", \.clients, .network, "Networks that the client connects from."),
                .criterion("commands", \.commands, .command, "What is asked for."),
                .criterion("networks", \.networks, .network, "Networks that the target's address is in."),
                .criterion("domains", \.domains, .domain, "What the client calls the target."),
                .criterion("ports", \.ports, .portRange, "The target's port."),
            ]
        )
    }
}

extension LoginBan {
    static var table: Table<LoginBan> {
        Table([
            .value("failures", \.failures, .count(1...100), "So many failed logins of a source"),
            .value("window", \.window, .duration, "within so long turn it away"),
            .value("duration", \.duration, .duration, "for so long."),
        ])
    }
}
