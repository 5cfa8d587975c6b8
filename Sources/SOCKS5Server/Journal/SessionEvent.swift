/// Is told of sessions as they begin and end: for logs, metrics and accounts of a program of your own. Goes into
/// ``Configuration/observer``.
public protocol SessionObserver: Sendable {
    /// Called by the workers' threads, several at once. Must not block: what takes longer than some microseconds belongs
    /// into a thread or task of your own.
    func observe(_ event: SessionEvent)
}

/// What a server tells of its sessions. More may be added.
public enum SessionEvent: Sendable {
    /// A connection was accepted as a session; nothing but the client is known.
    case began(SessionInfo)
    case ended(SessionInfo)
}
