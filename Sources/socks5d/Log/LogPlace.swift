internal import Text

/// Where lines go.
enum LogPlace: Hashable, Sendable {
    case standardError
    case standardOutput
    /// Appended to, and created where it is missing.
    case file(String)
    /// A datagram a line, to the socket of syslog(3).
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

    /// As ``init(parsing:)`` reads it.
    var text: String {
        switch self {
        case .standardError: "standard error"
        case .standardOutput: "-"
        case .file(let path): path
        case .syslog(Self.standardSyslog): "syslog"
        case .syslog(let path): "syslog:\(path)"
        }
    }

    /// With a relative path in a folder.
    func beside(_ found: (String) -> String) -> LogPlace {
        switch self {
        case .standardError, .standardOutput, .syslog: self
        case .file(let path): .file(found(path))
        }
    }
}
