internal import Logging
internal import SOCKS5Server

/// What to serve, from flags over environment over defaults.
struct Settings {
    var configuration = Configuration()
    var logLevel = Logger.Level.notice

    /// - Throws: ``Failure`` naming the flag or variable, what it said, and what was expected of it.
    init(_ options: Options, _ environment: Environment) throws {
        let reader = Reader(environment: environment)
        configuration.listen = try Self.listenAddresses(options, environment)
        configuration.users = try Self.users(options, environment)
        configuration.isOpen = try options.open || reader.flag("OPEN")
        configuration.sharesPort = try options.sharePort || reader.flag("SHARE_PORT")
        configuration.workers = try reader.value(options.workers, "workers", .count)
        configuration.maxConnections = try reader.value(options.maxConnections, "max-connections", .count)
        if let bytes = try reader.value(options.bufferMemory, "buffer-memory", .size) {
            configuration.bufferMemory = bytes
        }
        if let level = try reader.value(options.logLevel, "log-level", .logLevel) { logLevel = level }

        var timeouts = configuration.timeouts
        let limits: [(String?, String, WritableKeyPath<Configuration.Timeouts, Duration>)] = [
            (options.handshakeTimeout, "handshake-timeout", \.handshake),
            (options.dialTimeout, "dial-timeout", \.dial),
            (options.idleTimeout, "idle-timeout", \.idle),
            (options.halfClosedTimeout, "half-closed-timeout", \.halfClosed),
            (options.drainTimeout, "drain-timeout", \.drain),
        ]
        for (text, name, keyPath) in limits {
            let syntax: Syntax<Duration> = keyPath == \.drain ? .durationOrZero : .duration
            if let duration = try reader.value(text, name, syntax) { timeouts[keyPath: keyPath] = duration }
        }
        configuration.timeouts = timeouts
    }

    /// The addresses alone: all that a health check wants to know.
    static func listenAddresses(_ options: Options, _ environment: Environment) throws -> [ListenAddress] {
        if !options.listen.isEmpty {
            return try options.listen.map { try address($0, Failure.usage, "--listen") }
        }
        guard let text = environment["LISTEN"] else { return [.loopback] }
        let texts = text.split { $0 == "," || $0 == " " }.map(String.init)
        guard !texts.isEmpty else {
            throw Failure.configuration("SOCKS5D_LISTEN is empty; expected ADDR:PORT, as 127.0.0.1:1080")
        }
        return try texts.map { try address($0, Failure.configuration, "SOCKS5D_LISTEN") }
    }

    private static func address(
        _ text: String,
        _ failure: (String) -> Failure,
        _ origin: String
    ) throws -> ListenAddress {
        do {
            return try ListenAddress(parsing: text)
        } catch {
            throw failure("\(origin): \(error.description)")
        }
    }

    private static func users(_ options: Options, _ environment: Environment) throws -> [Configuration.User] {
        var users = try options.user.map { try user($0, Failure.usage, "--user") }
        if users.isEmpty, let text = environment["USER"] {
            users = [try user(text, Failure.configuration, "SOCKS5D_USER")]
        }
        if let path = options.userFile ?? environment["USER_FILE"] {
            users += try UserFile.load(path)
        }
        var names: Set<[UInt8]> = []
        for user in users where !names.insert(user.name).inserted {
            throw Failure.configuration(
                "user '\(String(decoding: user.name, as: UTF8.self).printable)' is given twice; expected once"
            )
        }
        return users
    }

    private static func user(
        _ text: String,
        _ failure: (String) -> Failure,
        _ origin: String
    ) throws -> Configuration.User {
        let parts = text.utf8.split(
            separator: UInt8(ascii: ":"),
            maxSplits: 1,
            omittingEmptySubsequences: false
        )
        guard parts.count == 2, parts.allSatisfy({ (1...255).contains($0.count) }) else {
            throw failure("\(origin) is not a user; expected NAME:PASSWORD with 1 to 255 bytes each")
        }
        return Configuration.User(name: Array(parts[0]), password: Array(parts[1]))
    }
}

/// Takes a setting from its flag, else from its variable.
private struct Reader {
    let environment: Environment

    func value<Value>(_ flag: String?, _ name: String, _ syntax: Syntax<Value>) throws -> Value? {
        if let flag { return try parse(flag, "--\(name)", syntax, Failure.usage) }
        let variable = name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
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
