internal import Logging

/// The settings of the server's messages to people.
struct LogSettings: Sendable {
    var level = Logger.Level.notice
    var format = LogFormat.text
    /// `nil` for standard error.
    var file: LogPlace?

    static var settings: [Setting<Settings>] {
        [
            .value(
                "level",
                \.log.level,
                .word,
                flag: "log-level",
                "Least severe messages to log; info has one for each session."
            ),
            .value("format", \.log.format, .word, flag: "log-format", "Text, or one JSON object per line."),
            .value(
                "file",
                \.log.file,
                .logPlace,
                flag: "log-file",
                "File to append to instead of standard error; SIGUSR1 opens it again."
            ),
        ]
    }
}

/// The settings of the access log.
struct AccessLogSettings: Sendable {
    /// `nil` if there is none.
    var file: LogPlace?
    var format = LogFormat.json
    var hasStarts = false
    /// If `nil`, running sessions aren't logged.
    var progress: Duration?

    static var settings: [Setting<Settings>] {
        [
            .value(
                "file",
                \.accessLog.file,
                .logPlace,
                flag: "access-log",
                "Where to write one line per session: a file, - for standard output, syslog, or syslog:SOCKET."
            ),
            .value(
                "format",
                \.accessLog.format,
                .word,
                flag: "access-log-format",
                "One JSON object per line, or text."
            ),
            .value("starts", \.accessLog.hasStarts, .flag, "Write a line at the start of each session too."),
            .value(
                "progress",
                \.accessLog.progress,
                .duration,
                "Write lines about running sessions at this interval; if not set, none."
            ),
        ]
    }
}
