internal import Logging
internal import Text

/// One line an entry on standard error: time, level, message, `key=value` sorted by key.
///
/// Everything but printable ASCII is escaped, so that no peer can forge a line.
struct LineLogHandler: LogHandler {
    private var level: LogLevelSwitch
    var metadata: Logger.Metadata = [:]

    init(_ level: LogLevelSwitch) {
        self.level = level
    }

    var logLevel: Logger.Level {
        get { level.value }
        set { level = LogLevelSwitch(newValue) }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }
        let texts = fields.sorted { $0.key < $1.key }.map { " \($0.key)=\(Self.quoted("\($0.value)"))" }
        StandardError.write("\(Timestamp.now()) \(event.level) \(event.message)\(texts.joined())")
    }

    private static func quoted(_ text: String) -> String {
        text.contains(" ") || text.isEmpty ? "\"\(text)\"" : text
    }
}
