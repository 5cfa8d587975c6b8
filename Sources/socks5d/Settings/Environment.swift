internal import Glibc
internal import Text

/// The variables `SOCKS5D_…`.
struct Environment {
    private let variables: [String: String]
    /// Variables of another program that have the meaning of some of these.
    private let foreign: ProxyVariables
    /// Names that are probably misspelt.
    private let slips: [String]

    private init(_ variables: [String: String], _ foreign: ProxyVariables, slips: [String]) {
        self.variables = variables
        self.foreign = foreign
        self.slips = slips
    }

    /// Indexed by the complete name.
    subscript(_ name: String) -> String? { variables[name] }

    /// Indexed by the complete name.
    ///
    /// - Parameter hasFile: whether there is a configuration file. If not, another program's variables are used too.
    func setting(_ name: String, hasFile: Bool) -> String? {
        (hasFile ? nil : foreign.values[name]) ?? variables[name]
    }

    /// To be logged once there is a log.
    func warnings(hasFile: Bool) -> [String] { slips + (hasFile ? [] : foreign.notes) }

    /// The variable of a flag.
    static func variable(of flag: String) -> String {
        "SOCKS5D_" + String(flag.map { $0 == "-" || $0 == "." ? "_" : $0 }).uppercased()
    }

    /// The variables of the process. A password is removed, so that no crash dump or child process shows it.
    static func ofProcess() -> Environment {
        let names = Settings.flags.map(variable)
        let found = values(of: names)
        let foreign = ProxyVariables(values(of: ProxyVariables.names), beside: found)
        for name in ["SOCKS5D_USER", "SOCKS5D_PARENT", "PROXY_PASSWORD"] {
            guard let password = getenv(name) else { continue }
            memset(password, 0, strlen(password))
            unsetenv(name)
        }
        return Environment(found, foreign, slips: slips(all, names))
    }

    private static func values(of names: [String]) -> [String: String] {
        var found: [String: String] = [:]
        for name in names {
            if let value = getenv(name) { found[name] = String(cString: value) }
        }
        return found
    }

    private static var all: [(name: String, value: String)] {
        var variables: [(String, String)] = []
        var entry = environ
        while let text = entry.pointee.map({ String(cString: $0) }) {
            entry += 1
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            variables.append((String(parts[0]), parts.count == 2 ? String(parts[1]) : ""))
        }
        return variables
    }

    /// One line for each variable that resembles one of the program. It never shows a value.
    static func slips(_ variables: [(name: String, value: String)], _ known: [String]) -> [String] {
        variables.filter { name, value in
            name.hasPrefix("SOCKS5D_") && !known.contains(name) && !isOfKubernetes(name, value)
        }.map { name, _ in
            let complaint = "\(name.printable) is no variable of socks5d"
            if let (key, flag) = Settings.keys.first(where: { variable(of: $0.path) == name }) {
                let better = flag.map { "did you mean \(variable(of: $0))?" }
                return "\(complaint); \(better ?? "'\(key)' has its place in the configuration file")"
            }
            let other = ParserTrouble.setting(for: name.dropFirst("SOCKS5D_".count).lowercased()).map(
                variable
            )
            return complaint + ((other ?? known.nearest(to: name)).map { "; did you mean \($0)?" } ?? "")
        }.sorted()
    }

    /// Whether Kubernetes has created the variable for a service whose name begins with `socks5d`. It gives all
    /// containers of a namespace the host, ports and addresses of each service, in the format of Docker's links.
    private static func isOfKubernetes(_ name: String, _ value: String) -> Bool {
        if name.hasSuffix("_SERVICE_HOST") || name.hasSuffix("_SERVICE_PORT") { return true }
        if name.contains("_SERVICE_PORT_") { return true }
        if name.hasSuffix("_PORT") && value.contains("://") { return true }
        // As in SOCKS5D_PORT_1080_TCP and SOCKS5D_PORT_1080_TCP_ADDR.
        var words = name.split(separator: "_")[...]
        if let last = words.last, ["PROTO", "PORT", "ADDR"].contains(last) { words.removeLast() }
        guard words.count > 3, let transport = words.popLast(), let port = words.popLast() else {
            return false
        }
        return ["TCP", "UDP", "SCTP"].contains(transport) && UInt16(port) != nil && words.last == "PORT"
    }

    /// Characters around a value that were probably not meant to be part of it: Docker's `--env-file` keeps quotes, and
    /// an editor on Windows ends lines with a carriage return.
    ///
    /// - Returns: the rest of a message after the variable's name, without the value. `nil` if there is no problem.
    static func complaint(about value: String, of name: String) -> Complaint? {
        let wayOut = name == "SOCKS5D_USER" ? " (a name or password that has them: SOCKS5D_USER_FILE)" : ""
        let blanks: [Unicode.Scalar: String] = [
            "\r": "a carriage return", "\n": "a line feed", "\t": "a tab", " ": "a space",
        ]
        let scalars = value.unicodeScalars
        guard let first = scalars.first, let last = scalars.last,
            !scalars.allSatisfy({ blanks[$0] != nil })
        else { return nil }
        if scalars.count > 1, first == last, first == "\"" || first == "'" {
            return Complaint(
                what: " has quotes around its value, as Docker's --env-file leaves them",
                expected: "the value without them\(wayOut)"
            )
        }
        guard
            let blank =
                (blanks[last].map { " ends with \($0)" } ?? blanks[first].map { " begins with \($0)" })
        else { return nil }
        return Complaint(what: blank, expected: "the value without blanks around it\(wayOut)")
    }
}

extension Settings {
    /// All flags that have a variable too.
    static var flags: [String] {
        ["config"] + Effective.leaves(table.settings).compactMap { $0.1.flag?.name }
    }

    /// The paths of all keys of the configuration file, each with its flag.
    fileprivate static var keys: [(path: String, flag: String?)] {
        Effective.leaves(table.settings).map { ($0.0, $0.1.flag?.name) }
    }
}
