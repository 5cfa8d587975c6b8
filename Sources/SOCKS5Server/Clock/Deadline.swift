/// What a session may be late with. Each has one duration for all sessions.
enum Deadline: Int, CaseIterable {
    /// From accept to the complete request.
    case handshake
    /// From a failed login to its answer, where its source has had too many.
    case lateRefusal
    /// From the request to the connected target.
    case dial
    /// From the listening address of a BIND to the connection.
    case bind
    /// Of a session that waits for its target, beside its deadline: time to try the target's next address, and to
    /// look whether a client that isn't being read has gone.
    case turn
    /// Of a session with a stream that isn't read, beside its deadline: time to look whether the peer has gone.
    case look
    /// Without a byte either way.
    case idle
    /// The same, once one direction has ended.
    case halfClosed
    /// Without a datagram of a UDP association.
    case udpIdle
    /// For the client to take a refusal and leave.
    case refusal
    /// From the accept to the end of the session, beside its deadline.
    case session

    /// For the log.
    var text: String {
        switch self {
        case .handshake, .dial, .bind, .turn, .look, .idle, .refusal, .session: "\(self)"
        case .lateRefusal: "late refusal"
        case .halfClosed: "half-closed"
        case .udpIdle: "udp idle"
        }
    }
}
