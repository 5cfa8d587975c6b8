internal import Locks
internal import SOCKS5Protocol

/// What one worker has counted at one listener. Written by the worker's thread alone, read by any.
final class ListenerCounters: Sendable {
    private let accepted = Count()
    /// By ``ConnectionRefusal``.
    private let refusals = InlineArray<6, Count> { _ in Count() }
    /// By ``HandshakeResult``.
    private let handshakes = InlineArray<40, Count> { _ in Count() }
    /// By command. A session that another worker goes on with is too many here, and too few there.
    private let sessions = InlineArray<4, Gauge> { _ in Gauge() }

    // MARK: - The worker's thread

    func sessionDidBegin() {
        accepted.add()
        sessions[0].add(1)
    }

    func requestDidCome(_ command: SOCKSCommand) {
        sessions[0].add(-1)
        sessions[Int(command.rawValue)].add(1)
    }

    /// - Parameter command: `nil`: no request has come.
    func sessionDidEnd(_ command: SOCKSCommand?) { sessions[Int(command?.rawValue ?? 0)].add(-1) }

    func add(_ refusal: ConnectionRefusal) { refusals[refusal.rawValue].add() }
    func add(_ result: HandshakeResult) { handshakes[result.number].add() }

    // MARK: - Any thread

    var connectionsAccepted: UInt64 { accepted.value }
    subscript(refusal: ConnectionRefusal) -> UInt64 { refusals[refusal.rawValue].value }
    subscript(result: HandshakeResult) -> UInt64 { handshakes[result.number].value }
    subscript(command: SOCKSCommand?) -> Int { sessions[Int(command?.rawValue ?? 0)].value }
}
