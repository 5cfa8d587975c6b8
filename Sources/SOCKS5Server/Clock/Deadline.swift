/// The kinds of deadlines of a session. Each has the same duration for all sessions.
enum Deadline: Int, CaseIterable {
    /// From accept to the complete request.
    case handshake
    /// From a failed login to its answer, if its source has had too many.
    case lateRefusal
    /// From the request to the connected target.
    case dial
    /// From the listening address of a BIND to the connection.
    case bind
    /// For a session that waits for its target, in addition to its deadline: time to try the target's next address, and
    /// to check whether a client that isn't being read has gone.
    case turn
    /// For a session with a stream that isn't being read, in addition to its deadline: time to check whether the peer
    /// has gone.
    case look
    /// Time without a byte in either direction.
    case idle
    /// As above, after one direction has ended.
    case halfClosed
    /// Time without a datagram in a UDP association.
    case udpIdle
    /// For the client to take a refusal and leave.
    case refusal
    /// From the accept to the end of the session, in addition to its deadline.
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
