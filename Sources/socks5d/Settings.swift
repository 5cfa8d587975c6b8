internal import Logging
internal import SOCKS5Protocol
internal import SOCKS5Server

/// What an operator has set, as ``Settings/table`` describes it: by a file, the environment and flags.
struct Settings {
    var configuration = Configuration()
    var users: [UserEntry] = []
    var userFile: String?
    var rules: [RuleEntry] = []
    var logLevel = Logger.Level.notice

    /// A user of the configuration file or of a flag.
    struct UserEntry {
        var name: [UInt8] = []
        var password: [UInt8]?
        var hash: PasswordHash?
        /// In the configuration file.
        var place: Place?
    }

    /// One of both.
    struct RuleEntry {
        var allow: Rule?
        var deny: Rule?
    }
}

/// What to serve, and how to speak of it.
struct Loaded {
    let configuration: Configuration
    let logLevel: Logger.Level
    /// What to say once there is a log.
    private(set) var warnings: [String] = []
    private let effective: Effective<Settings>

    /// Reads all that there is: defaults, then the configuration file, the environment and the flags.
    ///
    /// - Throws: ``Failure`` that names each fault's file, line and column, or its flag or variable, what was
    ///   there, and what was expected.
    init(_ options: Options, _ environment: Environment) throws {
        let file = options.config ?? environment[Environment.variable(of: "config")]
        let effective = try Settings.effective(file, options, environment)
        self.effective = effective
        let settings = effective.model
        logLevel = settings.logLevel
        var configuration = settings.configuration
        configuration.rules = settings.rules.compactMap { $0.allow ?? $0.deny }
        configuration.users = settings.users.compactMap { entry in
            if let hash = entry.hash { return Configuration.User(name: entry.name, secret: .hash(hash)) }
            return entry.password.map { Configuration.User(name: entry.name, password: $0) }
        }
        if let path = settings.userFile {
            let users = try UserFile.load(path)
            configuration.users += users.users
            if let warning = users.warning(path) { warnings.append(warning) }
        }
        self.configuration = configuration
        try refuseDoubleUsers(file)
    }

    private func refuseDoubleUsers(_ file: String?) throws {
        var names: Set<[UInt8]> = []
        for (index, user) in configuration.users.enumerated() where !names.insert(user.name).inserted {
            let entries = effective.model.users
            let entry =
                entries.indices.contains(index) ? entries[index] : entries.first { $0.name == user.name }
            var origin = ""
            if let file, let place = entry?.place {
                origin = "\(file.printable):\(place.line):\(place.column): "
            }
            let name = String(decoding: user.name, as: UTF8.self).printable
            throw Failure.configuration("\(origin)user '\(name)' is given twice; expected once")
        }
    }

    /// A line a setting, each with its origin.
    var lines: [String] { effective.lines }

    /// A server with these settings, on which nothing is opened yet.
    func server(_ logger: Logger) throws -> ProxyServer {
        do {
            return try ProxyServer(configuration: configuration, logger: logger)
        } catch {
            guard error.code == .openToNetwork, case .file = effective.origin(of: "listen") else {
                throw Failure(error)
            }
            throw Failure.configuration(
                "\(effective.origin(of: "listen").description): \(error.description) "
                    + "(users, user-file, or open: true)"
            )
        }
    }
}

extension Settings {
    /// All settings with their origins.
    ///
    /// - Parameter file: the path of the configuration file.
    static func effective(
        _ file: String?,
        _ options: Options,
        _ environment: Environment
    ) throws -> Effective<Settings> {
        var effective = Effective(table, defaults: Settings())
        if let file {
            let problems = Problems()
            effective.read(file: file, try InputFile.read(file, "configuration file"), problems)
            guard problems.count == 0 else { throw Failure.configuration(problems.lines(file: file)) }
            effective.findUserFile(beside: file)
        }
        try effective.read(options, environment)
        return effective
    }

    /// The addresses alone: all that a health check wants to know, whatever else is wrong.
    static func listenAddresses(_ options: Options, _ environment: Environment) throws -> [ListenAddress] {
        var effective = Effective(table, defaults: Settings())
        if let file = options.config ?? environment[Environment.variable(of: "config")] {
            effective.read(file: file, try InputFile.read(file, "configuration file"), Problems())
        }
        try effective.read(options, environment, only: "listen")
        return effective.model.configuration.listen
    }
}

extension Effective<Settings> {
    /// - Parameter path: of the one setting to look at; `nil`: all.
    fileprivate mutating func read(
        _ options: Options,
        _ environment: Environment,
        only path: String? = nil
    ) throws {
        let values = options.values
        do throws(Misfit) {
            try read(only: path, flags: { values[$0] ?? [] }, variables: { environment[$0] })
        } catch {
            switch error.origin {
            case .flag: throw Failure.usage(error.description)
            case .standard, .file, .variable: throw Failure.configuration(error.description)
            }
        }
    }

    /// A user file that the configuration file names is looked for beside that.
    fileprivate mutating func findUserFile(beside file: String) {
        guard let users = model.userFile, !users.hasPrefix("/"),
            let slash = file.lastIndex(of: "/")
        else { return }
        model.userFile = file[...slash] + users
    }
}
