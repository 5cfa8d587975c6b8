internal import SOCKS5Protocol

/// Gets a session its target: by dialling, or by waiting to be dialled.
///
/// - Ownership: the session's, while it is at it.
protocol TargetSource: AnyObject {
    /// The session has ended: nothing more is reported.
    func cancel()

    /// Time is up: nothing more is reported.
    ///
    /// - Returns: what to answer.
    func timeOut() -> Reply

    /// Comes every 250 ms, or that long after ``Worker/await(_:for:)``.
    func turnCame()
}
