/// What the process gives up once its settings are read.
struct SandboxSettings: Sendable {
    /// `nil`: it stays the user who has started it.
    var account: Account?
    var mode = Mode.off

    enum Mode: String, CaseIterable, Sendable {
        /// It can use its own files and make its own system calls, and nothing else.
        case on
        /// Other system calls are carried out, and the kernel's log has a line of each.
        case log
        case off
    }

    static var settings: [Setting<Settings>] {
        [
            .value(
                "run-as",
                \.sandbox.account,
                .account,
                flag: "run-as",
                "USER or USER:GROUP to become after reading the settings; needs root."
            ),
            .value(
                "sandbox",
                \.sandbox.mode,
                .word,
                flag: "sandbox",
                "Restrict the server to the files and system calls it needs: on, off, or log (only logs calls)."
            ),
        ]
    }
}
