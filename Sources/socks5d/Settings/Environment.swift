internal import Glibc

/// The variables `SOCKS5D_…`.
struct Environment {
    private let variables: [String: String]
    /// What looks like a slip of a variable's name, to be said once there is a log.
    let warnings: [String]

    private init(_ variables: [String: String], warnings: [String]) {
        self.variables = variables
        self.warnings = warnings
    }

    /// By the whole name.
    subscript(_ name: String) -> String? { variables[name] }

    /// The variable that stands for a flag.
    static func variable(of flag: String) -> String {
        "SOCKS5D_" + String(flag.map { $0 == "-" ? "_" : $0 }).uppercased()
    }

    /// Those of the process. A password is taken out of what a crash dump or a child would show.
    static func ofProcess() -> Environment {
        let names = Settings.flags.map(variable)
        var found: [String: String] = [:]
        for name in names {
            if let value = getenv(name) { found[name] = String(cString: value) }
        }
        if let password = getenv("SOCKS5D_USER") {
            memset(password, 0, strlen(password))
            unsetenv("SOCKS5D_USER")
        }
        return Environment(found, warnings: warnings(names))
    }

    /// Others may have names that begin so too, as those that Kubernetes makes for a service.
    private static func warnings(_ known: [String]) -> [String] {
        var warnings: [String] = []
        var entry = environ
        while let text = entry.pointee.map({ String(cString: $0) }) {
            entry += 1
            guard let name = text.split(separator: "=").first.map(String.init), name.hasPrefix("SOCKS5D_"),
                !known.contains(name), let meant = known.nearest(to: name)
            else { continue }
            warnings.append("\(name.printable) is no variable of socks5d; did you mean \(meant)?")
        }
        return warnings.sorted()
    }
}

extension Settings {
    /// All that have a variable too.
    static var flags: [String] {
        ["config"] + Effective.leaves(table.settings).compactMap { $0.1.flag?.name }
    }
}
