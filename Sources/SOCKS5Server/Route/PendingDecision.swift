internal import ProxyPolicy
internal import SOCKS5Protocol

/// A request that an embedder's ``RuleSet`` thinks about: what a session waits for before it waits for its target.
///
/// - Isolation: the worker's thread.
/// - Ownership: the session's.
final class PendingDecision: TargetSource {
    private unowned let worker: Worker
    private var ticket: PendingAnswers<RuleVerdict>.Ticket?

    /// - Parameter decided: called once, unless ``cancel()`` or ``timeOut()`` comes before.
    init(
        _ worker: Worker,
        _ answer: @escaping @Sendable () async -> RuleVerdict,
        _ decided: @escaping (RuleVerdict) -> Void
    ) {
        self.worker = worker
        ticket = worker.decisions.begin(answer, decided)
    }

    func cancel() {
        if let ticket { worker.decisions.giveUp(ticket) }
        ticket = nil
    }

    func timeOut() -> Reply {
        cancel()
        return .generalFailure
    }

    /// There is nothing to do but wait.
    func turnCame() {}
}
