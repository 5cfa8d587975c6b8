internal import Logging
internal import SOCKS5Protocol
internal import SOCKS5Server

/// What to serve, from flags over environment over defaults.
struct Settings {
    var configuration = Configuration()
    var logLevel = Logger.Level.notice
    /// What to say once there is a log.
    private(set) var warnings: [String] = []

    /// - Throws: ``Failure`` naming the flag or variable, what it said, and what was expected of it.
    init(_ options: Options, _ environment: Environment) throws {
        let reader = Reader(environment: environment)
        configuration.listen = try Self.listenAddresses(options, environment)
        configuration.users = try users(options, environment)
        configuration.isOpen = try options.open || reader.flag("OPEN")
        configuration.sharesPort = try options.sharePort || reader.flag("SHARE_PORT")
        configuration.bind.isEnabled = try !(options.noBind || reader.flag("NO_BIND"))
        configuration.bind.ports = try reader.value(options.bindPorts, "bind-ports", .portRange)
        configuration.udp.isEnabled = try !(options.noUDP || reader.flag("NO_UDP"))
        configuration.udp.ports = try reader.value(options.udpPorts, "udp-ports", .portRange)
        if let filtering = try reader.value(options.udpFiltering, "udp-filtering", .filtering) {
            configuration.udp.filtering = filtering
        }
        configuration.advertisedAddresses = try Self.advertised(options, environment)
        configuration.destinationGuard.exceptions = try Self.exceptions(options, environment)
        configuration.workers = try reader.value(options.workers, "workers", .count)
        configuration.maxConnections = try reader.value(options.maxConnections, "max-connections", .count)
        if let bytes = try reader.value(options.bufferMemory, "buffer-memory", .size) {
            configuration.bufferMemory = bytes
        }
        configuration.families.preferred = try reader.value(options.prefer, "prefer", .family)
        configuration.families.only = try reader.value(options.only, "only", .family)
        configuration.egress.addresses = try Self.egressAddresses(options, environment)
        configuration.egress.interface = try reader.value(
            options.egressInterface,
            "egress-interface",
            .interface
        )
        configuration.egress.mark = try reader.value(options.egressMark, "egress-mark", .mark) ?? 0
        if let level = try reader.value(options.logLevel, "log-level", .logLevel) { logLevel = level }

        let limits: [(String?, String, WritableKeyPath<Configuration, Duration>)] = [
            (options.handshakeTimeout, "handshake-timeout", \.timeouts.handshake),
            (options.dialTimeout, "dial-timeout", \.timeouts.dial),
            (options.idleTimeout, "idle-timeout", \.timeouts.idle),
            (options.halfClosedTimeout, "half-closed-timeout", \.timeouts.halfClosed),
            (options.drainTimeout, "drain-timeout", \.timeouts.drain),
            (options.bindTimeout, "bind-timeout", \.bind.timeout),
            (options.udpIdleTimeout, "udp-idle-timeout", \.udp.idle),
        ]
        for (text, name, keyPath) in limits {
            let syntax: Syntax<Duration> = keyPath == \.timeouts.drain ? .durationOrZero : .duration
            if let duration = try reader.value(text, name, syntax) {
                configuration[keyPath: keyPath] = duration
            }
        }
    }

    /// The addresses alone: all that a health check wants to know.
    static func listenAddresses(_ options: Options, _ environment: Environment) throws -> [ListenAddress] {
        let addresses = try list(options.listen, "listen", environment, ListenAddress.init(parsing:))
        return addresses ?? [.loopback]
    }

    private static func advertised(
        _ options: Options,
        _ environment: Environment
    ) throws -> [AdvertisedAddress] {
        try list(options.advertise, "advertise", environment, AdvertisedAddress.init(parsing:)) ?? []
    }

    private static func egressAddresses(
        _ options: Options,
        _ environment: Environment
    ) throws -> [EgressAddress] {
        try list(options.egressAddress, "egress-address", environment, EgressAddress.init(parsing:)) ?? []
    }

    private static func exceptions(
        _ options: Options,
        _ environment: Environment
    ) throws -> [GuardException] {
        try list(options.allowDestinations, "allow-destinations", environment, GuardException.init(parsing:))
            ?? []
    }

    /// The values of a repeatable flag, else those of its variable. Commas separate several in one, in a variable
    /// spaces too.
    private static func list<Value>(
        _ flags: [String],
        _ name: String,
        _ environment: Environment,
        _ parse: (String) throws(ProxyServerError) -> Value
    ) throws -> [Value]? {
        func values(_ texts: [String], _ origin: String, _ failure: (String) -> Failure) throws -> [Value] {
            try texts.map { text in
                do throws(ProxyServerError) {
                    return try parse(text)
                } catch {
                    throw failure("\(origin): \(error.description)")
                }
            }
        }
        if !flags.isEmpty {
            let texts = flags.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }
            return try values(texts.map(String.init), "--\(name)", Failure.usage)
        }
        let variable = Environment.name(of: name)
        guard let text = environment[variable] else { return nil }
        // An empty variable is a mistake, and is reported as the value that it isn't.
        let texts = text.split { $0 == "," || $0 == " " }.map(String.init)
        return try values(texts.isEmpty ? [""] : texts, "SOCKS5D_\(variable)", Failure.configuration)
    }

    private mutating func users(_ options: Options, _ environment: Environment) throws -> [Configuration.User]
    {
        var logins = try options.user.map { try Self.credentials($0, Failure.usage, "--user") }
        if logins.isEmpty, let text = environment["USER"] {
            logins = [try Self.credentials(text, Failure.configuration, "SOCKS5D_USER")]
        }
        var users = logins.map { Configuration.User(name: $0.username, password: $0.password) }
        if let path = options.userFile ?? environment["USER_FILE"] {
            let file = try UserFile.load(path)
            users += file.users
            if let warning = file.warning(path) { warnings.append(warning) }
        }
        var names: Set<[UInt8]> = []
        for user in users where !names.insert(user.name).inserted {
            throw Failure.configuration(
                "user '\(String(decoding: user.name, as: UTF8.self).printable)' is given twice; expected once"
            )
        }
        return users
    }

    /// Parses `NAME:PASSWORD`.
    static func credentials(
        _ text: String,
        _ failure: (String) -> Failure,
        _ origin: String
    ) throws -> Credentials {
        let parts = text.utf8.split(
            separator: UInt8(ascii: ":"),
            maxSplits: 1,
            omittingEmptySubsequences: false
        )
        guard parts.count == 2, parts.allSatisfy({ (1...255).contains($0.count) }) else {
            throw failure("\(origin) is not a user; expected NAME:PASSWORD with 1 to 255 bytes each")
        }
        return Credentials(username: Array(parts[0]), password: Array(parts[1]))
    }
}

/// Takes a setting from its flag, else from its variable.
private struct Reader {
    let environment: Environment

    func value<Value>(_ flag: String?, _ name: String, _ syntax: Syntax<Value>) throws -> Value? {
        if let flag { return try parse(flag, "--\(name)", syntax, Failure.usage) }
        let variable = Environment.name(of: name)
        guard let text = environment[variable] else { return nil }
        return try parse(text, "SOCKS5D_\(variable)", syntax, Failure.configuration)
    }

    func flag(_ variable: String) throws -> Bool {
        guard let text = environment[variable] else { return false }
        return try parse(text, "SOCKS5D_\(variable)", .flag, Failure.configuration)
    }

    private func parse<Value>(
        _ text: String,
        _ origin: String,
        _ syntax: Syntax<Value>,
        _ failure: (String) -> Failure
    ) throws -> Value {
        guard let value = syntax.parse(text) else {
            throw failure("\(origin) is '\(text.printable)'; expected \(syntax.expected)")
        }
        return value
    }
}
