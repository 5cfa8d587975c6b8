internal import Glibc

/// The variables `SOCKS5D_…`.
struct Environment {
    private let variables: [String: String]

    init(_ variables: [String: String]) {
        self.variables = variables
    }

    /// By the whole name.
    subscript(_ name: String) -> String? { variables[name] }

    /// The variable that stands for a flag.
    static func variable(of flag: String) -> String {
        "SOCKS5D_" + String(flag.map { $0 == "-" ? "_" : $0 }).uppercased()
    }

    /// Those of the process. A password is taken out of what a crash dump or a child would show.
    static func ofProcess() -> Environment {
        var found: [String: String] = [:]
        for flag in Settings.flags {
            let name = variable(of: flag)
            if let value = getenv(name) { found[name] = String(cString: value) }
        }
        if let password = getenv("SOCKS5D_USER") {
            memset(password, 0, strlen(password))
            unsetenv("SOCKS5D_USER")
        }
        return Environment(found)
    }
}

extension Settings {
    /// All that have a variable too.
    static var flags: [String] {
        ["config"] + Effective.leaves(table.settings).compactMap { $0.1.flag?.name }
    }
}
