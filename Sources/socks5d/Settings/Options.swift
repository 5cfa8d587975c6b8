internal import ArgumentParser

/// The flags as texts: ``Settings/table`` gives them their meaning and a line of help. Names are the same as in the
/// table.
struct Options: ParsableArguments, Sendable {
    @Option(help: "Configuration file in YAML.")
    var config: String?
    @Option(help: .setting("listen"))
    var listen: [String] = []
    @Option(help: .setting("clients"))
    var clients: [String] = []
    @Option(help: .setting("login-except"))
    var loginExcept: [String] = []
    @Option(help: .setting("protocols"))
    var protocols: [String] = []
    @Option(help: .setting("proxy-protocol"))
    var proxyProtocol: [String] = []
    @Option(help: .setting("tls-certificate"))
    var tlsCertificate: String?
    @Option(help: .setting("tls-key"))
    var tlsKey: String?
    @Option(help: "NAME:PASSWORD of a user who may log in; repeatable.")
    var user: [String] = []
    @Option(help: .setting("user-file"))
    var userFile: String?
    @Flag(help: .setting("open"))
    var open = false
    @Flag(help: .setting("share-port"))
    var sharePort = false
    @Flag(help: "Refuse BIND with reply 7.")
    var noBind = false
    @Option(help: .setting("bind-ports"))
    var bindPorts: String?
    @Option(help: .setting("bind-timeout"))
    var bindTimeout: String?
    @Option(help: .setting("advertise"))
    var advertise: [String] = []
    @Option(help: .setting("allow-destinations"))
    var allowDestinations: [String] = []
    @Option(help: .setting("workers"))
    var workers: String?
    @Option(help: .setting("max-connections"))
    var maxConnections: String?
    @Option(help: .setting("buffer-memory"))
    var bufferMemory: String?
    @Option(help: .setting("prefer"))
    var prefer: String?
    @Option(help: .setting("only"))
    var only: String?
    @Option(help: "SCHEME://[USER:PASSWORD@]HOST:PORT of a proxy through which everything leaves.")
    var parent: [String] = []
    @Option(help: .setting("egress-address"))
    var egressAddress: [String] = []
    @Option(help: .setting("egress-choose"))
    var egressChoose: String?
    @Option(help: .setting("egress-interface"))
    var egressInterface: String?
    @Option(help: .setting("egress-mark"))
    var egressMark: String?
    @Option(help: .setting("handshake-timeout"))
    var handshakeTimeout: String?
    @Option(help: .setting("dial-timeout"))
    var dialTimeout: String?
    @Option(help: .setting("idle-timeout"))
    var idleTimeout: String?
    @Option(help: .setting("session-timeout"))
    var sessionTimeout: String?
    @Option(help: .setting("half-closed-timeout"))
    var halfClosedTimeout: String?
    @Option(help: .setting("drain-timeout"))
    var drainTimeout: String?
    @Option(help: .setting("drain-delay"))
    var drainDelay: String?
    @Flag(help: "Refuse UDP ASSOCIATE with reply 7.")
    var noUDP = false
    @Option(help: .setting("udp-ports"))
    var udpPorts: String?
    @Option(help: .setting("udp-filtering"))
    var udpFiltering: String?
    @Option(help: .setting("udp-idle-timeout"))
    var udpIdleTimeout: String?
    @Option(help: .setting("admin"))
    var admin: String?
    @Option(help: .setting("admin-token-file"))
    var adminTokenFile: String?
    @Option(help: .setting("log-level"))
    var logLevel: String?
    @Option(help: .setting("log-format"))
    var logFormat: String?
    @Option(help: .setting("log-file"))
    var logFile: String?
    @Option(help: .setting("access-log"))
    var accessLog: String?
    @Option(help: .setting("access-log-format"))
    var accessLogFormat: String?
    @Option(help: .setting("run-as"))
    var runAs: String?
    @Option(help: .setting("sandbox"))
    var sandbox: String?
}

extension Options {
    /// Indexed by the names without `--`; a flag that isn't given has no values.
    var values: [String: [String]] {
        var values: [String: [String]] = [:]
        for property in Mirror(reflecting: self).children {
            guard let label = property.label else { continue }
            let name = Self.flag(of: label)
            switch property.value {
            case let option as Option<String?>: values[name] = option.wrappedValue.map { [$0] } ?? []
            case let option as Option<[String]>: values[name] = option.wrappedValue
            case let flag as Flag<Bool>: values[name] = flag.wrappedValue ? ["1"] : []
            default: preconditionFailure("\(label) is of a kind that isn't read")
            }
        }
        values["config"] = nil
        return values
    }

    /// `udp-ports` for the property `_udpPorts`, the same name that the parser derives.
    private static func flag(of label: String) -> String {
        var name = ""
        for character in label.drop(while: { $0 == "_" }) {
            if character.isUppercase, name.last?.isUppercase == false { name += "-" }
            name.append(character)
        }
        return name.lowercased()
    }
}

extension ArgumentHelp {
    private static let texts = Dictionary(
        Effective.leaves(Settings.table.settings).compactMap { path, setting in
            setting.flag.map { ($0.name, $0.isSeparated ? setting.doc + " Repeatable." : setting.doc) }
        },
        uniquingKeysWith: { first, _ in first }
    )

    /// The table's help for the setting of a flag.
    fileprivate static func setting(_ flag: String) -> ArgumentHelp {
        guard let text = texts[flag] else { preconditionFailure("--\(flag) is no flag of a setting") }
        return ArgumentHelp(stringLiteral: text)
    }
}
