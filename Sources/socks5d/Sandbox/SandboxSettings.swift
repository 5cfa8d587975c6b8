/// What the process gives up once its settings are read.
struct SandboxSettings: Sendable {
    /// `nil`: it stays the user who has started it.
    var account: Account?

    static var settings: [Setting<Settings>] {
        [
            .value(
                "run-as",
                \.sandbox.account,
                .account,
                flag: "run-as",
                "User, or USER:GROUP, to become once the settings are read; if started as root."
            )
        ]
    }
}
