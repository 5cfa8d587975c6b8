internal import Glibc

/// The variables `SOCKS5D_…`.
struct Environment {
    private let variables: [String: String]

    init(_ variables: [String: String]) {
        self.variables = variables
    }

    /// By the name behind `SOCKS5D_`.
    subscript(_ name: String) -> String? { variables[name] }

    /// The variable of a flag, behind `SOCKS5D_`.
    static func name(of flag: String) -> String {
        flag.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }

    /// Those of the process. A password is taken out of what a crash dump or a child would show.
    static func ofProcess() -> Environment {
        var found: [String: String] = [:]
        for name in names {
            if let value = getenv("SOCKS5D_\(name)") { found[name] = String(cString: value) }
        }
        if let password = getenv("SOCKS5D_USER") {
            memset(password, 0, strlen(password))
            unsetenv("SOCKS5D_USER")
        }
        return Environment(found)
    }

    static let names = [
        "LISTEN", "USER", "USER_FILE", "OPEN", "SHARE_PORT", "WORKERS", "MAX_CONNECTIONS", "BUFFER_MEMORY",
        "PREFER", "ONLY", "EGRESS_ADDRESS", "EGRESS_INTERFACE", "EGRESS_MARK",
        "HANDSHAKE_TIMEOUT", "DIAL_TIMEOUT", "IDLE_TIMEOUT", "HALF_CLOSED_TIMEOUT", "DRAIN_TIMEOUT",
        "LOG_LEVEL", "NO_BIND", "BIND_PORTS", "BIND_TIMEOUT", "ADVERTISE", "NO_UDP", "UDP_PORTS",
        "UDP_FILTERING",
        "UDP_IDLE_TIMEOUT", "ALLOW_DESTINATIONS",
    ]
}
