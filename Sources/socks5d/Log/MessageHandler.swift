internal import Logging

/// Passes log entries of the server to ``Messages``.
struct MessageHandler: LogHandler {
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
        Messages.say(event.level, "\(event.message)", fields.mapValues { "\($0)" })
    }
}
