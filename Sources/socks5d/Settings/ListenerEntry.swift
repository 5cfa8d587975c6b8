internal import ProxyPolicy
internal import SOCKS5Protocol
internal import SOCKS5Server

/// An item of `listeners`: one or several addresses, with settings of their own.
struct ListenerEntry: Sendable {
    var addresses: [ListenAddress] = []
    var name: String?
    var clients: [IPNetwork]?
    var protocols: [ProxyProtocol]?
    /// If `nil`, all clients log in if there are users.
    var login: Login?
    /// If `nil`, connections have no header.
    var proxyProtocol: [IPNetwork]?
    var rules: [Settings.RuleEntry] = []
    var routes: [Route] = []
    /// If `nil`, the default of ``Configuration/ListenerSettings``.
    var mode: UInt32?
    var tls: TLSSettings?
    var gssapi: GSSAPISettings?
    var retry: Duration?
    var limits: SourceLimits?
    var egress: Configuration.ListenerSettings.Egress?

    typealias Login = Configuration.ListenerSettings.Login

    /// Whether clients have names without a login: SOCKS4's user IDs, or certificates.
    var namesClients: Bool { protocols?.contains(.socks4) == true || tls?.clientAuthority != nil }

    /// One for each address.
    ///
    /// - Parameters:
    ///   - rules: with their places.
    ///   - routes: with their places.
    func settings(_ rules: [Rule], _ routes: [Route]) -> [Configuration.ListenerSettings] {
        addresses.map { address in
            var listener = Configuration.ListenerSettings(address)
            listener.name = name
            listener.clients = clients
            if let protocols { listener.protocols = Set(protocols) }
            listener.login = login ?? .asConfigured
            listener.proxyProtocol = proxyProtocol
            listener.rules = rules
            listener.routes = routes
            listener.mode = mode ?? listener.mode
            listener.tls = tls?.terms
            listener.gssapi = gssapi?.terms
            listener.retry = retry
            listener.limits = limits
            listener.egress = egress
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
                    "One or several addresses to listen on: ADDRESS:PORT, unix:PATH or systemd:NAME."
                ),
                .value("name", \.name, .listenerName, "Name in logs and metrics; if not set, the address."),
                .criterion(
                    "clients",
                    \.clients,
                    .network,
                    "Networks of the clients that are served; others are disconnected. If not set, all are served."
                ),
                .criterion(
                    "protocols",
                    \.protocols,
                    .protocol,
                    "Protocols that clients may speak: socks5, socks4 (4a too), http (CONNECT); if not set, socks5."
                ),
                .valueOrSection(
                    "login",
                    \.login,
                    .login,
                    LoginExceptions.table,
                    new: { LoginExceptions() },
                    hold: { .except($0.networks ?? []) },
                    part: { LoginExceptions($0) },
                    "Whether clients must log in: required, never, or a section with except; if not set, if there are users."
                ),
                .criterion(
                    "proxy-protocol",
                    \.proxyProtocol,
                    .network,
                    "Networks of load balancers, which name each client in a PROXY header; other connections are closed."
                ),
                .sections(
                    "rules",
                    \.rules,
                    Settings.RuleEntry.table(),
                    new: { Settings.RuleEntry() },
                    "Rules of this listener, tried before the rules of users and the common rules."
                ),
                Route.setting(
                    \.routes,
                    "Routes of this listener, tried before the routes of users and the common routes."
                ),
                .section(
                    "tls",
                    \.tls,
                    TLSSettings.table,
                    new: { TLSSettings() },
                    "TLS with the clients; it starts after the PROXY header if there is one."
                ),
                .section(
                    "gssapi",
                    \.gssapi,
                    GSSAPISettings.table,
                    new: { GSSAPISettings() },
                    "Logins by Kerberos (RFC 1961), which are preferred to passwords."
                ),
                .value(
                    "mode",
                    \.mode,
                    .fileMode,
                    "Mode of a unix socket's file, which decides who may connect; if not set, 0660."
                ),
                .value(
                    "retry",
                    \.retry,
                    .interval,
                    "Time between attempts to open an address that doesn't exist yet; if not set, the start fails."
                ),
                .section(
                    "limits",
                    \.limits,
                    Table(SourceLimits.settings(\.self)),
                    new: { SourceLimits() },
                    "Limits of a source at this listener, instead of the common limits of a source."
                ),
                .valueOrSection(
                    "egress",
                    \.egress,
                    .incoming,
                    Table(Configuration.Egress.settings(\.self)),
                    new: { Configuration.Egress() },
                    hold: { .fixed($0) },
                    part: { if case .fixed(let egress) = $0 { egress } else { nil } },
                    "Source of connections to targets, instead of the common one: incoming, or keys like those of egress."
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

    /// `nil` if the login is written as a word.
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

extension Syntax<UInt32> {
    fileprivate static var fileMode: Syntax {
        Syntax(expected: "a mode of 3 octal digits, as 0660", form: .pattern("0?[0-7]{3}")) { text in
            let digits = text.utf8.count == 4 && text.hasPrefix("0") ? text.dropFirst() : text[...]
            let isMode = digits.utf8.count == 3 && digits.utf8.allSatisfy { (0x30...0x37).contains($0) }
            return isMode ? UInt32(digits, radix: 8) : nil
        } write: { mode in
            let digits = String(mode, radix: 8)
            return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        }
    }
}

extension Syntax<Configuration.ListenerSettings.Egress> {
    fileprivate static var incoming: Syntax {
        Syntax(
            expected: "incoming or a section with addresses, choose, interface, mark",
            form: .words(["incoming"])
        ) { text in
            text.lowercased() == "incoming" ? .incoming : nil
        } write: { _ in
            "incoming"
        }
    }
}

extension Syntax<ProxyProtocol> {
    static var `protocol`: Syntax { .word }
}

extension Syntax<String> {
    /// Accepts names that fit unchanged into a line of the log and a label of a metric.
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
    /// The listeners, from whichever form the settings use.
    var listenerSettings: [Configuration.ListenerSettings] {
        guard model.listeners.isEmpty else {
            return model.listeners.enumerated().flatMap { index, entry in
                entry.settings(
                    rules(entry.rules, "listeners", .item(index), "rules"),
                    routes(entry.routes, "listeners", .item(index), "routes")
                )
            }
        }
        let login = model.loginExcept.map { ListenerEntry.Login.except($0) }
        let common = ListenerEntry(
            addresses: model.listen,
            clients: model.clients,
            protocols: model.protocols,
            login: login,
            proxyProtocol: model.proxyProtocol,
            tls: model.tls
        )
        return common.settings([], [])
    }
}
