internal import Glibc
internal import Text

/// Facts about the process that don't change.
struct ServedProcess: Sendable {
    let pid = getpid()
    /// The start of the process, as far as the admin server knows.
    let started = Timestamp.now()
}
