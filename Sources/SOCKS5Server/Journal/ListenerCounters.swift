internal import Locks
internal import SOCKS5Protocol

/// The counts of one worker at one listener. Written by the worker's thread alone, read by any.
final class ListenerCounters: Sendable {
    private let accepted = Count()
    /// Indexed by ``ConnectionRefusal``.
    private let refusals = InlineArray<14, Count> { _ in Count() }
    /// Indexed by command.
    private let requests = InlineArray<5, Count> { _ in Count() }
    /// By command. A session that was handed to another worker ends there.
    private let ends = InlineArray<5, Count> { _ in Count() }
    /// Sessions that have ended without a request, by ``SessionInfo/Outcome``.
    private let failures = InlineArray<40, Count> { _ in Count() }

    // MARK: - The worker's thread

    func sessionDidBegin() { accepted.add() }
    func requestDidCome(_ command: SOCKSCommand) { requests[SOCKSCommand.number(of: command)].add() }

    /// - Parameter command: `nil` if no request has arrived.
    func sessionDidEnd(_ command: SOCKSCommand?, _ outcome: SessionInfo.Outcome?) {
        if command == nil, let outcome { failures[outcome.number].add() }
        ends[SOCKSCommand.number(of: command)].add()
    }

    func add(_ refusal: ConnectionRefusal) { refusals[refusal.rawValue].add() }

    // MARK: - Any thread

    var connectionsAccepted: UInt64 { accepted.value }
    subscript(refusal: ConnectionRefusal) -> UInt64 { refusals[refusal.rawValue].value }

    subscript(result: HandshakeResult) -> UInt64 {
        switch result {
        case .completed: SOCKSCommand.allCases.reduce(0) { $0 + requests[SOCKSCommand.number(of: $1)].value }
        case .ended(let outcome): failures[outcome.number].value
        }
    }

    /// Sessions that began here, minus those that have ended here; other workers' counts complete the sum.
    subscript(command: SOCKSCommand?) -> Int {
        let ended = ends[SOCKSCommand.number(of: command)].value
        guard let command else {
            let requested = self[HandshakeResult.completed]
            return Int(connectionsAccepted) - Int(requested) - Int(ended)
        }
        return Int(requests[SOCKSCommand.number(of: command)].value) - Int(ended)
    }
}
