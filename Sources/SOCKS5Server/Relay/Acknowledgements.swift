internal import UVLoop

/// Distinguishes a peer that has vanished from one that is alive but reads nothing, by the kernel's information about
/// acknowledgements.
///
/// Keepalive detects a vanished peer on an idle connection, but it is off while bytes wait for acknowledgement; then
/// the kernel tries for a quarter of an hour. TCP_USER_TIMEOUT would also end a peer that acknowledges that its window
/// is closed. Pure; the state is read a few times within the limit, so that relayed bytes cost nothing.
struct Acknowledgements {
    /// The number of checks within the limit, after which a peer is given up.
    static let looks: UInt64 = 5

    /// Consecutive checks that found unacknowledged bytes, without an acknowledgement in between.
    private var unanswered: UInt8 = 0

    /// Whether nothing was unacknowledged at the last check.
    var isSettled: Bool { unanswered == 0 }

    /// - Parameter interval: milliseconds since the last check.
    /// - Returns: whether the peer has vanished.
    mutating func look(_ state: TCPStream.SendState, interval: UInt64) -> Bool {
        let silence = UInt64(state.silence)
        // When the window is closed, only probes are sent, at growing intervals. A living peer answers each; the answer
        // to the last one may still be on its way.
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
