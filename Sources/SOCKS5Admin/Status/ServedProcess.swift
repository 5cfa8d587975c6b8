internal import Glibc
internal import Text

/// What doesn't change about the process that is told of.
struct ServedProcess: Sendable {
    let pid = getpid()
    /// When it began, as far as the admin server knows.
    let started = Timestamp.now()
}
