/// All settings as they were read, to show the effective ones later. It doesn't keep the file's text, which may be
/// megabytes.
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

extension [EffectiveRow] {
    /// FNV-1a of names and values, in hexadecimal digits. It distinguishes settings, but doesn't protect secrets.
    var hash: String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for row in self {
            for byte in "\(row.path)=\(row.value ?? "null")\n".utf8 {
                hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
            }
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
