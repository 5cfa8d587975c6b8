import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// The origin of a setting.
enum Origin: CaseIterable, Sendable {
    case flag, variable

    /// The exit code for a bad value: a mistake in the command line, or in the configuration.
    var exitCode: Int32 { self == .flag ? 64 : 78 }

    /// The name of the setting in messages.
    func name(of setting: String) -> String {
        self == .flag ? "--\(setting)" : "SOCKS5D_\(Setting.variable(setting))"
    }
}

/// All settings, each with a valid and an invalid value.
enum Setting {
    static let all: [(name: String, good: String, bad: String)] = [
        ("config", "/dev/null", "/nonexistent/config.yaml"),
        ("listen", "127.0.0.1:0", "nowhere"),
        ("clients", "127.0.0.0/8,192.0.2.1", "10.0.0.1/8"),
        ("login-except", "192.0.2.0/24", "nobody"),
        ("protocols", "socks5,http", "socks6"),
        ("proxy-protocol", "127.0.0.1", "nobody"),
        ("user", "alice:secret", "alice"),
        ("user-file", projectFolder + "/examples/users", "/nonexistent/users"),
        ("open", "1", "perhaps"),
        ("share-port", "1", "perhaps"),
        ("workers", "1", "0"),
        ("max-connections", "5", "-5"),
        ("buffer-memory", "1MiB", "12X"),
        ("prefer", "4", "5"),
        ("only", "4", "both"),
        ("parent", "socks5://127.0.0.1:9050", "socks6://127.0.0.1:9050"),
        ("egress-address", "127.0.0.1", "127.0.0.1:0"),
        ("egress-choose", "round-robin", "by turns"),
        ("egress-interface", "lo", "no such interface"),
        ("egress-mark", "0", "-1"),
        ("handshake-timeout", "500ms", "soon"),
        ("dial-timeout", "1s", "0"),
        ("idle-timeout", "5m", "5 minutes"),
        ("half-closed-timeout", "0.5", "1e400"),
        ("session-timeout", "24h", "0"),
        ("drain-timeout", "0", "nan"),
        ("drain-delay", "0", "later"),
        ("admin", "127.0.0.1:0", "nowhere"),
        ("admin-token-file", projectFolder + "/examples/admin-token", "/nonexistent/token"),
        ("log-level", "error", "loud"),
        ("log-format", "json", "xml"),
        ("log-file", "/dev/null", ""),
        ("access-log", "/dev/null", "syslog:"),
        ("access-log-format", "text", "xml"),
        ("allow-destinations", "private,192.0.2.0/24", "10.0.0.1/8"),
        ("no-bind", "1", "perhaps"),
        ("bind-ports", "20000-20999", "20999-20000"),
        ("bind-timeout", "30", "0"),
        ("advertise", "192.0.2.1", "0.0.0.0"),
        ("no-udp", "1", "perhaps"),
        ("udp-ports", "20000-20999", "70000"),
        ("udp-filtering", "endpoint", "port"),
        ("udp-idle-timeout", "2m", "never"),
        ("run-as", "\(max(getuid(), 1)):\(getgid())", "a:b:c"),
        ("sandbox", "log", "perhaps"),
    ]

    /// Flags that must be given together, and need files of the test.
    static let ofTLS: Set = ["tls-certificate", "tls-key"]

    static let switches: Set = ["open", "share-port", "no-bind", "no-udp"]

    /// The name after `SOCKS5D_`.
    static func variable(_ name: String) -> String {
        String(name.map { $0 == "-" ? "_" : $0 }).uppercased()
    }
}

extension Invocation {
    /// One setting, as a flag or as a variable.
    init(_ setting: String, _ value: String = "1", by origin: Origin) {
        switch origin {
        case .flag:
            self.init(Setting.switches.contains(setting) ? ["--\(setting)"] : ["--\(setting)", value])
        case .variable:
            self.init([], environment: [origin.name(of: setting): value])
        }
    }
}

extension TestSocket {
    /// Greets and logs in; whether the server accepts that.
    func logIn(_ name: String, _ password: String) throws -> Bool {
        try send(Greeting(methods: [.noAuthentication, .usernamePassword]))
        let selection = try receive(MethodSelection.self)
        guard selection.method == .usernamePassword else { throw TestFailure("method \(selection.method)") }
        try send(Credentials(username: name, password: password))
        return try receive(AuthenticationStatus.self).succeeded
    }

    /// Greets; a running server answers.
    func greet() throws {
        try send(Greeting(methods: [.noAuthentication]))
        let selection = try receive(MethodSelection.self)
        guard selection.method == .noAuthentication else { throw TestFailure("method \(selection.method)") }
    }
}

/// Whether the proxy accepts or refuses this login.
func expectLogin(_ name: String, _ password: String, isAccepted: Bool = true, at port: Int) throws {
    let socket = try TestSocket(connectingTo: port)
    defer { socket.close() }
    let answer = try socket.logIn(name, password)
    #expect(answer == isAccepted, "\(name)")
}

/// The program ends with one line on standard error, which has every one of `parts`.
func expectRefusal(
    of invocation: Invocation,
    exitCode: Int32,
    saying parts: String...,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let result = try await invocation.run()
    #expect(result.exitCode == exitCode, "\(invocation)", sourceLocation: sourceLocation)
    #expect(result.output.isEmpty, sourceLocation: sourceLocation)
    #expect(result.errors.hasPrefix("socks5d: "), sourceLocation: sourceLocation)
    #expect(result.errors.hasSuffix("\n"), sourceLocation: sourceLocation)
    #expect(result.errors.utf8.count { $0 == UInt8(ascii: "\n") } == 1, sourceLocation: sourceLocation)
    #expect(result.errors.utf8.count < 300, sourceLocation: sourceLocation)
    for part in parts {
        #expect(result.errors.contains(part), "\(invocation)", sourceLocation: sourceLocation)
    }
}
