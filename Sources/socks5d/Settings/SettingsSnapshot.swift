/// All settings as they were read, for those who ask what holds. The file's text is gone, which may be megabytes.
struct SettingsSnapshot: Sendable {
    private let model: Settings
    private let origins: [String: Effective<Settings>.Origin]

    init(_ effective: Effective<Settings>) {
        model = effective.model
        origins = effective.origins
    }

    /// Without secrets.
    func rows(where isWanted: (String) -> Bool) -> [EffectiveRow] {
        Effective(Settings.table, defaults: model, origins: origins).rows(where: isWanted)
    }
}
