public import Logging

/// Actions that the admin server asks of the program around it. An action that is `nil` is answered 501.
public struct AdminActions: Sendable {
    /// How a reload of the settings has gone.
    public enum ReloadResult: Sendable {
        /// - Parameter needingRestart: settings that have changed, and aren't taken into use.
        case adopted(users: Int, rules: Int, needingRestart: [String])
        /// Everything is as it was.
        case refused(reasons: [String])
    }

    /// One setting as it holds.
    public struct Setting: Sendable {
        public var key: String
        /// As JSON, with secrets left out; `nil`: not set.
        public var value: String?
        /// `default`, a flag, a variable, or a file with line and column.
        public var origin: String

        public init(key: String, value: String?, origin: String) {
            self.key = key
            self.value = value
            self.origin = origin
        }
    }

    /// Reads the settings again, and takes into use what can change.
    public var reload: (@Sendable () async -> ReloadResult)?
    public var settings: (@Sendable () async -> [Setting])?
    /// Stands for the settings that hold: the same text for the same settings. Has no secrets in it.
    public var settingsHash: (@Sendable () -> String)?
    public var logLevel: (@Sendable () -> Logger.Level)?
    public var setLogLevel: (@Sendable (Logger.Level) -> Void)?

    /// Ends the program as soon as its sessions have ended, since another process has its sockets now. Returns at once.
    public var leave: (@Sendable () -> Void)?

    public init() {}
}
