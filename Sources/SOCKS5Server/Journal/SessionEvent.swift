/// Is called when sessions begin and end, for logs, metrics and accounting in your own program. Set it as
/// ``Configuration/observer``.
public protocol SessionObserver: Sendable {
    /// Called by the workers' threads, by several at once. Must not block: if it takes longer than some
    /// microseconds, use a thread or task of your own.
    func observe(_ event: SessionEvent)
}

/// An event in the life of a session. More events may be added.
public enum SessionEvent: Sendable {
    /// A connection was accepted as a session; only the client is known yet.
    case began(SessionInfo)
    case ended(SessionInfo)
}
