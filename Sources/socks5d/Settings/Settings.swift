internal import Logging
internal import ProxyPolicy
internal import SOCKS5Admin
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import Text

/// An operator's settings as ``Settings/table`` describes them, from a file, the environment and flags.
struct Settings: Sendable {
    var configuration = Configuration()
    var listen = [ListenAddress.loopback]
    var clients: [IPNetwork]?
    var loginExcept: [IPNetwork]?
    var protocols: [ProxyProtocol]?
    var proxyProtocol: [IPNetwork]?
    var tls = TLSSettings()
    /// Replaces `listen` and the five settings after it; if empty, those are used.
    var listeners: [ListenerEntry] = []
    var users: [UserEntry] = []
    var userFile: String?
    var rules: [RuleEntry] = []
    var parents: [ParentEntry] = []
    var routes: [Route] = []
    var admin = AdminSettings()
    var log = LogSettings()
    var accessLog = AccessLogSettings()
    var sandbox = SandboxSettings()

    /// A user of the configuration file or of a flag.
    struct UserEntry: Sendable {
        var name: [UInt8] = []
        var password: [UInt8]?
        var hash: PasswordHash?
        var expiry: UnixTime?
        var clients: [IPNetwork]?
        var rules: [RuleEntry] = []
        var routes: [Route] = []
        var egressAddresses: [IPNetwork] = []
        var limits: UserLimits?
    }

    /// An allow or deny rule.
    struct RuleEntry: Sendable {
        var allow: Rule?
        var deny: Rule?
        var report: Rule?

        var rule: Rule? { allow ?? deny ?? report }
    }
}

/// The settings in the form that the program uses.
struct Loaded: Sendable {
    let configuration: Configuration
    /// `nil` if there is no admin server.
    let admin: AdminConfiguration?
    let log: LogSettings
    let accessLog: AccessLogSettings
    /// Warnings to report once there is a log.
    private(set) var warnings: [String] = []
    /// The paths of the files that were read.
    let files: [String]
    let sandbox: SandboxSettings.Mode
    /// The user to become; `nil` to stay the same.
    let identity: Identity?
    /// The place of that setting, for a message.
    let identityPlace: String
    /// Settings whose change needs a restart.
    private let fixed: [EffectiveRow]
    private let settings: SettingsSnapshot
    /// The place in the configuration file of the listener that anyone on the network could use without a login.
    private let openPlace: String?
    private let listenKey: String
    private let logPlaces: [(place: LogPlace?, setting: String)]

    /// Reads all sources: defaults, then the configuration file, the environment and the flags.
    ///
    /// - Throws: ``Failure`` with each error's file, line and column, or its flag or variable, the value found, and the
    ///   value expected.
    init(_ options: Options, _ environment: Environment) throws {
        try self.init(Settings.effective(options, environment), environment)
    }

    /// - Parameter effective: everything that has been read already, except the user file.
    init(_ effective: Effective<Settings>, _ environment: Environment) throws {
        fixed = effective.rows { !Settings.isReloadable($0) }
        settings = SettingsSnapshot(effective)
        warnings = environment.warnings(hasFile: effective.file != nil)
        let named = [effective.file, effective.model.userFile, effective.model.admin.tokenFile]
        let ofTLS = effective.listenerSettings.flatMap { listener in
            [listener.tls?.certificate, listener.tls?.key, listener.tls?.clientAuthority]
        }
        let ofParents = effective.model.parents.flatMap { [$0.passwordFile, $0.authority] }
        let keytabs = effective.model.listeners.map(\.gssapi?.keytab)
        files = (named + ofTLS + keytabs + ofParents).compactMap(\.self)
        listenKey = effective.model.listeners.isEmpty ? "listen" : "listeners"
        let settings = effective.model
        var failures = Failures()
        admin = try failures.collect { try AdminConfiguration(effective) } ?? nil
        sandbox = settings.sandbox.mode
        identityPlace = effective.name(of: "run-as")
        identity = try failures.collect { try Self.identity(settings.sandbox, effective) } ?? nil
        log = settings.log
        accessLog = settings.accessLog
        logPlaces = [
            (path: "log.file", place: log.file), (path: "access-log.file", place: accessLog.file),
        ].map { ($0.place, effective.name(of: $0.path)) }
        var configuration = settings.configuration
        configuration.listeners = effective.listenerSettings
        configuration.rules = effective.rules(settings.rules, "rules")
        configuration.users = settings.users.enumerated().compactMap { index, entry in
            let secret =
                entry.hash.map { .hash($0) } ?? entry.password.map { ProxyUser.Secret.plain($0) }
            guard let secret else { return nil }
            var user = ProxyUser(name: entry.name, secret: secret)
            user.expiry = entry.expiry
            user.clients = entry.clients
            user.rules = effective.rules(entry.rules, "users", .item(index), "rules")
            user.egressAddresses = entry.egressAddresses
            user.limits = entry.limits
            return user
        }
        var knowsUsers = true
        if let path = settings.userFile {
            let users = try failures.collect {
                try UserFile.load(path, namedAt: effective.place(of: "user-file"))
            }
            configuration.users += users?.users ?? []
            warnings += users?.warnings(path) ?? []
            knowsUsers = users != nil
        }
        configuration.parentGroups = settings.parents.compactMap(\.group)
        configuration.routes = effective.routes(settings.routes, "routes")
        for (index, user) in settings.users.enumerated() where !user.routes.isEmpty {
            let routes = effective.routes(user.routes, "users", .item(index), "routes")
            configuration.routesPerUser[user.name] = routes
        }
        openPlace = configuration.listenerOpenToStrangers.flatMap {
            ListenerReview.place(of: $0.address, in: effective)
        }
        failures.add(Self.doubleUsers(configuration.users, effective))
        let listeners = try failures.collect {
            try ListenerReview(effective, configuration, knowsUsers: knowsUsers)
        }
        failures.add((listeners?.problems ?? []) + ParentReview(effective).problems)
        let passwords = try failures.collect { try ParentPasswords(effective) }
        try failures.throwIfAny()
        configuration.parents = passwords?.parents ?? []
        self.configuration = configuration
        warnings += (passwords?.warnings ?? []) + (listeners?.warnings ?? [])
        warnings += Review(effective, configuration).warnings
    }

    private static func identity(
        _ settings: SandboxSettings,
        _ effective: Effective<Settings>
    ) throws -> Identity? {
        do throws(Complaint) {
            return try settings.account.map { account throws(Complaint) in try Identity(account) }
        } catch {
            throw Failure.configuration(effective.name(of: "run-as") + error.description)
        }
    }

    private static func doubleUsers(_ users: [ProxyUser], _ effective: Effective<Settings>) -> [String] {
        let entries = effective.model.users
        var names: Set<[UInt8]> = []
        return users.enumerated().filter { !names.insert($0.element.name).inserted }.map { index, user in
            let entry = index < entries.count ? index : entries.firstIndex { $0.name == user.name }
            let place = entry.flatMap { effective.place(of: "users", .item($0)) }
            let name = String(decoding: user.name, as: UTF8.self).printable
            return "\(place.map { "\($0): " } ?? "")user '\(name)' is given twice; expected once"
        }
    }

    /// Settings that a reload doesn't change, but that differ from an earlier state.
    ///
    /// - Parameter hasToken: whether the running admin server has a token. It keeps that rather than need none.
    func settingsThatNeedARestart(since earlier: Loaded, hasToken: Bool) -> [String] {
        let others = zip(fixed, earlier.fixed).filter { $0.value != $1.value }.map(\.0.path)
        let lacksToken = hasToken && admin?.token == nil
        return others.filter { $0 != "listen" } + (lacksToken ? ["admin.token-file"] : [])
            + (ways == earlier.ways ? [] : [listenKey])
    }

    /// The properties of each listener that are fixed from the start on.
    private var ways: [String] {
        configuration.listeners.map {
            "\($0.address) \($0.name ?? "") \($0.mode) \($0.retry.map { "\($0)" } ?? "")"
        }
    }

    /// The effective settings of a server that was started with `earlier` settings and has reloaded these.
    func rows(startedWith earlier: Loaded) -> [EffectiveRow] {
        settings.rows { Settings.isReloadable($0) } + earlier.fixed
    }

    /// Opens the logs, and closes them again.
    func checkLogs() throws {
        let problems = problemsOfLogs { place throws(Errno) in _ = try LogOutput.open(place) }
        if let first = problems.first { throw Failure.configuration(first) }
    }

    /// Warnings about logs that this process couldn't open: unlike ``checkLogs()``, it makes no file.
    var warningsOfLogs: [String] {
        problemsOfLogs { place throws(Errno) in try LogOutput.check(place) }
    }

    private func problemsOfLogs(_ attempt: (LogPlace) throws(Errno) -> Void) -> [String] {
        logPlaces.compactMap { place, setting in
            guard let place else { return nil }
            do throws(Errno) {
                try attempt(place)
                return nil
            } catch {
                return "\(setting): \(place.text.printable) can't be opened: \(error)"
            }
        }
    }

    /// A server with these settings; nothing is opened yet.
    func server(_ logger: Logger, _ observer: (any SessionObserver)? = nil) throws -> ProxyServer {
        do {
            var configuration = configuration
            configuration.observer = observer
            return try ProxyServer(configuration: configuration, logger: logger)
        } catch {
            guard error.code == .openToNetwork, let openPlace else { throw Failure(error) }
            throw Failure.configuration(
                "\(openPlace): \(error.description) (users, user-file, clients, or open: true)"
            )
        }
    }
}

extension Settings {
    /// Whether ``ProxyServer/reload(_:)`` applies a change of the setting.
    fileprivate static func isReloadable(_ path: String) -> Bool {
        let keys: Set = [
            "clients", "login-except", "protocols", "proxy-protocol", "tls", "answer-http", "listeners",
            "users", "user-file", "login-ban", "session-ids", "open", "rules", "guard", "limits", "parents",
            "routes",
        ]
        if path == "admin.token-file" { return true }
        return path != "limits.quota-file" && keys.contains(String(path.prefix { $0 != "." }))
    }

    private static func file(_ options: Options, _ environment: Environment) throws -> String? {
        let syntax = Syntax<String>.path
        if let file = options.config {
            guard syntax.parse(file) != nil else {
                throw Failure.usage("--config" + syntax.complaint(about: file, isSecret: false).description)
            }
            return file
        }
        let name = Environment.variable(of: "config")
        guard let file = environment[name] else { return nil }
        let misfit = syntax.parse(file) == nil ? syntax.complaint(about: file, isSecret: false) : nil
        if let complaint = Environment.complaint(about: file, of: name) ?? misfit {
            throw Failure.configuration(name + complaint.description)
        }
        return file
    }

    /// All settings with their origins.
    static func effective(_ options: Options, _ environment: Environment) throws -> Effective<Settings> {
        var effective = Effective(table, defaults: Settings())
        if let file = try file(options, environment) {
            let problems = Problems()
            effective.read(file: file, try InputFile.read(file, "configuration file"), problems)
            guard problems.count == 0 else { throw Failure.configuration(problems.lines(file: file)) }
            effective.findFiles(beside: file)
        }
        try effective.read(options, environment)
        return effective
    }

    /// Only the listeners, which are all that a health check needs; problems elsewhere are ignored.
    static func listeners(
        _ options: Options,
        _ environment: Environment
    ) throws -> [Configuration.ListenerSettings] {
        var effective = Effective(table, defaults: Settings())
        if let file = try file(options, environment) {
            effective.read(file: file, try InputFile.read(file, "configuration file"), Problems())
        }
        for path in ["listen", "clients", "proxy-protocol", "tls.certificate", "tls.key"] {
            try effective.read(options, environment, only: path)
        }
        return effective.listenerSettings
    }
}

extension Effective<Settings> {
    /// The rules of a list, each with its place in the file.
    ///
    /// - Parameter path: the path of the list.
    func rules(_ entries: [Settings.RuleEntry], _ path: Step...) -> [Rule] {
        entries.enumerated().compactMap { index, entry in
            var rule = entry.rule
            rule?.place = line(of: path + [.item(index)])
            return rule
        }
    }

    /// - Parameter path: the path of the only setting to read; `nil` for all.
    fileprivate mutating func read(
        _ options: Options,
        _ environment: Environment,
        only path: String? = nil
    ) throws {
        let values = options.values
        do throws(Misfit) {
            let hasFile = file != nil
            try read(
                only: path,
                flags: { values[$0] ?? [] },
                variables: { environment.setting($0, hasFile: hasFile) }
            )
        } catch {
            switch error.origin {
            case .flag: throw Failure.usage(error.description)
            case .standard, .file, .variable: throw Failure.configuration(error.description)
            }
        }
    }

    /// Relative paths in the configuration file start from the file's folder.
    fileprivate mutating func findFiles(beside file: String) {
        guard let slash = file.lastIndex(of: "/") else { return }
        func found(_ path: String) -> String { path.hasPrefix("/") ? path : file[...slash] + path }
        model.userFile = model.userFile.map(found)
        model.admin.tokenFile = model.admin.tokenFile.map(found)
        for index in model.parents.indices {
            model.parents[index].passwordFile = model.parents[index].passwordFile.map(found)
            model.parents[index].authority = model.parents[index].authority.map(found)
        }
        model.tls.find(found)
        for index in model.listeners.indices {
            model.listeners[index].tls?.find(found)
            model.listeners[index].gssapi?.find(found)
        }
        model.configuration.limits.quotaFile = model.configuration.limits.quotaFile.map(found)
        model.log.file = model.log.file?.beside(found)
        model.accessLog.file = model.accessLog.file?.beside(found)
    }
}
