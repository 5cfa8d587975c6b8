public import SOCKS5Protocol

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

/// One session, as it was at one moment.
public struct SessionInfo: Sendable {
    /// The same in every event of the session, and another one for each session of a server.
    public let id: UInt64
    public let client: Peer
    /// Who has logged in, as bytes (RFC 1929). `nil`: nobody has, yet or at all.
    public let user: [UInt8]?
    /// `nil`: there was no request, yet or at all.
    public let command: SOCKSCommand?
    /// What the request is for. `nil`: none is known, as with UDP ASSOCIATE.
    public let target: Target?
    /// Payload relayed so far.
    public let bytesClientToTarget: UInt64
    public let bytesTargetToClient: UInt64
    /// From the accept on.
    public let duration: Duration
    /// How it has ended, in the words of the log. `nil`: it goes on.
    public let outcome: String?
}
