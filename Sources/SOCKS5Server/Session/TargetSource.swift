/// Gets a session its target: by dialling, or by waiting to be dialled.
///
/// - Ownership: the session's, while it is at it.
protocol TargetSource: AnyObject {
    /// The client has gone, or time is up: nothing more is reported.
    func cancel()
}
