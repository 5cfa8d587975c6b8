internal import UVLoop

/// Tells a peer that has vanished from one that lives but reads nothing, by what the kernel knows of acknowledgements.
///
/// Keepalive finds a peer that has vanished from an idle connection, but rests while bytes wait for their
/// acknowledgement; the kernel then tries for a quarter of an hour. TCP_USER_TIMEOUT would also end a peer that keeps
/// its window closed and says so. Pure; looked at a few times within the limit, so that bytes on their way cost nothing.
struct Acknowledgements {
    /// Looks within the limit, after which a peer is given up.
    static let looks: UInt64 = 5

    /// Looks in a row that saw unacknowledged bytes and no acknowledgement between them.
    private var unanswered: UInt8 = 0

    /// Whether nothing was owed at the last look.
    var isSettled: Bool { unanswered == 0 }

    /// - Parameter interval: milliseconds since the last look.
    /// - Returns: whether the peer has vanished.
    mutating func look(_ state: TCPStream.SendState, interval: UInt64) -> Bool {
        let silence = UInt64(state.silence)
        // Behind a closed window there are no bytes on their way but probes, further and further apart. A living peer
        // answers each; the answer to the last one may be on its way.
        if state.unansweredProbes > 1 { return silence >= interval * (Self.looks - 1) }
        guard state.unacknowledgedSegments > 0 else {
            unanswered = 0
            return false
        }
        if unanswered == 0 || silence < interval {
            unanswered = 1
        } else if silence >= state.retransmissionTimeout {
            // Otherwise the last attempt may still be answered.
            unanswered += 1
        }
        return UInt64(unanswered) >= Self.looks
    }
}
