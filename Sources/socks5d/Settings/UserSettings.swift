internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

// Users in the configuration file: their names, rights and limits.

extension Settings.UserEntry {
    static var table: Table<Settings.UserEntry> {
        Table(
            [
                .value("name", \.name, .name, "1 to 255 bytes."),
                .value("password", \.password, .password, isSecret: true, "Plain text of 1 to 255 bytes."),
                .value(
                    "password-hash",
                    \.hash,
                    .passwordHash,
                    isSecret: true,
                    "Output of 'socks5d hash-password'."
                ),
                .value(
                    "expires",
                    \.expiry,
                    .day,
                    "First day on which the user can't log in, from 00:00 UTC on."
                ),
                .criterion("clients", \.clients, .network, "Networks from which the user may log in."),
                .sections(
                    "rules",
                    \.rules,
                    Settings.RuleEntry.table(ofUser: true),
                    new: { Settings.RuleEntry() },
                    "Rules of this user, tried before the common rules."
                ),
                Route.setting(\.routes, ofUser: true, "Routes of this user, tried before the common routes."),
                .list(
                    "egress-addresses",
                    \.egressAddresses,
                    .egressAddress,
                    "Addresses and prefixes to connect from; egress.choose says how one is chosen."
                ) { addresses in
                    .ofEgress(addresses)
                },
                .section(
                    "limits",
                    \.limits,
                    Table(UserLimits.settings(\.self)),
                    new: { UserLimits() },
                    "Limits of this user, instead of all limits in limits.user."
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
                Settings.UserEntry(name: login.username, password: login.password.bytes)
            }
            return nil
        }
    }
}

extension Settings.RuleEntry {
    /// - Parameter isOfUser: whether they are a user's own, so that they have no criterion for users.
    static func table(ofUser isOfUser: Bool = false) -> Table<Settings.RuleEntry> {
        let criteria = criteria(ofUser: isOfUser)
        return Table(
            [
                .section(
                    "allow",
                    \.allow,
                    criteria,
                    new: { Rule(.allow) },
                    "Allow a request that matches every criterion."
                ),
                .section(
                    "deny",
                    \.deny,
                    criteria,
                    new: { Rule(.deny) },
                    "Refuse a request that matches every criterion, with reply 2."
                ),
                .section(
                    "report",
                    \.report,
                    criteria,
                    new: { Rule(.report) },
                    "Log that a matching request would be refused, and go on with the next rule."
                ),
            ],
            exactlyOneOf: ["allow", "deny", "report"],
            example: "deny: {ports: [25]}"
        )
    }

    private static func criteria(ofUser isOfUser: Bool) -> Table<Rule> {
        let users: [Setting<Rule>] =
            isOfUser ? [] : [.criterion("users", \.users, .name, "Users who have logged in.")]
        return Table(
            users + [
                .criterion("clients", \.clients, .network, "Networks of the client."),
                .criterion("commands", \.commands, .command, "Commands of the request."),
                .criterion("networks", \.networks, .network, "Networks of the target's address."),
                .criterion("domains", \.domains, .domain, "Names by which the client asks for the target."),
                .criterion("ports", \.ports, .portRange, "Ports of the target."),
            ]
        )
    }
}

extension LoginBan {
    static var table: Table<LoginBan> {
        Table([
            .value(
                "failures",
                \.failures,
                .count(1...100),
                "Number of failed logins after which a source is banned."
            ),
            .value("window", \.window, .duration, "Period in which failed logins are counted."),
            .value("duration", \.duration, .duration, "Time for which the source is banned."),
        ])
    }
}
