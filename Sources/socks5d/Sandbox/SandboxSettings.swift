/// The rights that the process gives up once its settings are read.
struct SandboxSettings: Sendable {
    /// If `nil`, the user doesn't change.
    var account: Account?
    var mode = Mode.off

    enum Mode: String, CaseIterable, Sendable {
        /// Only the program's own files and system calls can be used.
        case on
        /// Other system calls are carried out, and each adds a line to the kernel's log.
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
