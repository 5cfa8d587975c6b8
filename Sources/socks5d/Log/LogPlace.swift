internal import Text

/// The destination of lines.
enum LogPlace: Hashable, Sendable {
    case standardError
    case standardOutput
    /// Appended to; created if it doesn't exist.
    case file(String)
    /// One datagram per line, to the socket of syslog(3).
    case syslog(String)

    static let standardSyslog = "/dev/log"

    /// Parses `-`, `syslog`, `syslog:PATH` or a path.
    init?(parsing text: String) {
        if text == "-" {
            self = .standardOutput
        } else if text == "syslog" {
            self = .syslog(Self.standardSyslog)
        } else if text.hasPrefix("syslog:") {
            let path = String(text.dropFirst("syslog:".count))
            guard !path.isEmpty else { return nil }
            self = .syslog(path)
        } else {
            guard !text.isEmpty, !text.utf8.contains(0) else { return nil }
            self = .file(text)
        }
    }

    /// In the form that ``init(parsing:)`` reads.
    var text: String {
        switch self {
        case .standardError: "standard error"
        case .standardOutput: "-"
        case .file(let path): path
        case .syslog(Self.standardSyslog): "syslog"
        case .syslog(let path): "syslog:\(path)"
        }
    }

    /// With a relative path resolved against a folder.
    func beside(_ found: (String) -> String) -> LogPlace {
        switch self {
        case .standardError, .standardOutput, .syslog: self
        case .file(let path): .file(found(path))
        }
    }
}
