public import Logging

/// Actions that the admin server asks the surrounding program for. If an action is `nil`, its request is refused with
/// status 501.
public struct AdminActions: Sendable {
    /// The result of a reload of the settings.
    public enum ReloadResult: Sendable {
        /// - Parameter needingRestart: settings that have changed, but take effect only after a restart.
        case adopted(users: Int, rules: Int, needingRestart: [String])
        /// Nothing has changed.
        case refused(reasons: [String])
    }

    /// One setting with its effective value.
    public struct Setting: Sendable {
        public var key: String
        /// As JSON, with secrets left out. `nil` if it isn't set.
        public var value: String?
        /// `default`, a flag, a variable, or a file with line and column.
        public var origin: String

        public init(key: String, value: String?, origin: String) {
            self.key = key
            self.value = value
            self.origin = origin
        }
    }

    /// Reads the settings again, and applies those that can change at run time.
    public var reload: (@Sendable () async -> ReloadResult)?
    public var settings: (@Sendable () async -> [Setting])?
    /// Identifies the effective settings: the same text for the same settings. It contains no secrets.
    public var settingsHash: (@Sendable () -> String)?
    public var logLevel: (@Sendable () -> Logger.Level)?
    public var setLogLevel: (@Sendable (Logger.Level) -> Void)?

    /// Ends the program as soon as its sessions have ended, because another process has its sockets now. Returns at
    /// once.
    public var leave: (@Sendable () -> Void)?

    public init() {}
}
