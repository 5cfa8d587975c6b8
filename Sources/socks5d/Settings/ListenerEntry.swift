internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

/// An item of `listeners`: a way in, at one address or several, with settings of its own.
struct ListenerEntry: Sendable {
    var addresses: [ListenAddress] = []
    var name: String?
    var clients: [IPNetwork]?
    /// `nil`: all log in, if there are users.
    var login: Login?
    var rules: [Settings.RuleEntry] = []

    typealias Login = Configuration.ListenerSettings.Login

    /// One for each address.
    ///
    /// - Parameter rules: with their places.
    func settings(_ rules: [Rule]) -> [Configuration.ListenerSettings] {
        addresses.map { address in
            var listener = Configuration.ListenerSettings(address)
            listener.name = name
            listener.clients = clients
            listener.login = login ?? .asConfigured
            listener.rules = rules
            return listener
        }
    }
}

extension ListenerEntry {
    static var table: Table<ListenerEntry> {
        Table(
            [
                .oneOrMore(
                    "address",
                    \.addresses,
                    .listenAddress,
                    "Address and port to listen on, or several."
                ),
                .value("name", \.name, .listenerName, "Name in logs and metrics; if not set, the address."),
                .criterion(
                    "clients",
                    \.clients,
                    .network,
                    "Networks of the clients that are served; others are closed at once. If not set, all."
                ),
                .valueOrSection(
                    "login",
                    \.login,
                    .login,
                    LoginExceptions.table,
                    new: { LoginExceptions() },
                    hold: { .except($0.networks ?? []) },
                    part: { LoginExceptions($0) },
                    "Who logs in: required, never, or all except some; if not set, all, if there are users."
                ),
                .sections(
                    "rules",
                    \.rules,
                    Settings.RuleEntry.table(),
                    new: { Settings.RuleEntry() },
                    "Rules of this listener, tried before those of users and the common ones."
                ),
            ],
            required: ["address"],
            example: "{address: 127.0.0.1:1080}"
        )
    }
}

/// `login: {except: [...]}`
private struct LoginExceptions {
    var networks: [IPNetwork]?

    init() {}

    /// `nil`: the login is written as a word.
    init?(_ login: ListenerEntry.Login) {
        guard case .except(let networks) = login else { return nil }
        self.networks = networks
    }

    static var table: Table<LoginExceptions> {
        Table(
            [.criterion("except", \.networks, .network, "Networks of clients that need no login.")],
            required: ["except"],
            example: "{except: [192.168.0.0/16]}"
        )
    }
}

extension Syntax<ListenerEntry.Login> {
    fileprivate static var login: Syntax {
        Syntax(
            expected: "required, never or {except: [NETWORK, ...]}",
            form: .words(["required", "never"])
        ) { text in
            ["required": .required, "never": .never][text.lowercased()]
        } write: {
            $0 == .never ? "never" : "required"
        }
    }
}

extension Syntax<String> {
    /// What fits into a line of the log and a label of a metric as it is.
    fileprivate static var listenerName: Syntax {
        Syntax(
            expected: "a name of 1 to 63 letters, digits, '-', '_' or '.'",
            form: .pattern("[A-Za-z0-9._-]{1,63}")
        ) { text in
            let isName =
                (1...63).contains(text.utf8.count)
                && text.unicodeScalars.allSatisfy { scalar in
                    scalar.isASCII
                        && (scalar.properties.isAlphabetic || "0123456789-_.".unicodeScalars.contains(scalar))
                }
            return isName ? text : nil
        }
    }
}

extension Effective<Settings> {
    /// The ways in, by whichever of both forms they are written.
    var listenerSettings: [Configuration.ListenerSettings] {
        guard model.listeners.isEmpty else {
            return model.listeners.enumerated().flatMap { index, entry in
                entry.settings(rules(entry.rules, "listeners", .item(index), "rules"))
            }
        }
        let login = model.loginExcept.map { ListenerEntry.Login.except($0) }
        return ListenerEntry(addresses: model.listen, clients: model.clients, login: login).settings([])
    }
}
