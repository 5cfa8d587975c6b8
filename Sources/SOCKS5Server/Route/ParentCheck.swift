internal import ProxyPolicy
internal import SOCKS5Protocol

/// Connects through one chain at regular intervals, without a client, and reports to its parents' health whether they
/// work.
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by ``ParentChecks``.
final class ParentCheck: ConnectorDelegate {
    private let plan: ParentCheckPlan
    private let services: Services
    private var connector: ParentConnector?
    // Times in milliseconds on the loop's clock: the next beginning, and the end and next turn of the running check.
    private var due: UInt64
    private var deadline: UInt64 = 0
    private var turn: UInt64 = 0

    init(_ plan: ParentCheckPlan, _ services: Services) {
        self.plan = plan
        self.services = services
        due = services.clock.now
    }

    /// When ``timeDidCome()`` has something to do.
    var next: UInt64 { connector == nil ? due : min(deadline, turn) }

    func timeDidCome() {
        let now = services.clock.now
        if let connector {
            if now >= deadline {
                _ = connector.timeOut()
                self.connector = nil
            } else if now >= turn {
                connectorDidBeginAttempt()
                connector.tick()
            }
        } else if now >= due {
            begin(now)
        }
    }

    func cancel() {
        connector?.cancel()
        connector = nil
    }

    private func begin(_ now: UInt64) {
        due = now + plan.interval
        deadline = now + services.clock.duration(of: .dial)
        let connector = ParentConnector(
            self,
            services,
            by: plan.way,
            through: plan.pool,
            for: SOCKSRequest(command: .connect, destination: Destination(plan.target)),
            Subject(client: .local(uid: 0), user: nil, command: .connect),
            isCheck: true
        )
        self.connector = connector
        connectorDidBeginAttempt()
        connector.start()
    }

    func connectorDidReport(_ event: ConnectEvent) {
        switch event {
        case .connected(let stream, _, _): services.closer.close(stream)
        case .failed: break
        case .listening, .resolved, .denied: preconditionFailure("a check of something else")
        }
        connector = nil
    }

    func connectorDidBeginAttempt() { turn = services.clock.now + services.clock.duration(of: .turn) }

    /// A check isn't a session.
    func connectorDidTurn(to parent: ParentRecord?) {}
}

/// The checks of all parents of a server, on one of its workers.
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by the worker.
final class ParentChecks {
    private let services: Services
    private var checks: [ParentCheck] = []

    init(_ services: Services) {
        self.services = services
    }

    /// When ``timeDidCome()`` must be called, in milliseconds on the loop's clock; `nil` for never.
    var next: UInt64? { checks.lazy.map(\.next).min() }

    /// Starts over at once. Running checks end without a result.
    func adopt(_ plans: [ParentCheckPlan]) {
        close()
        checks = plans.map { ParentCheck($0, services) }
        wake()
    }

    func timeDidCome() {
        for check in checks { check.timeDidCome() }
    }

    func wake() {
        if let next { services.clock.wake(at: next) }
    }

    func close() {
        for check in checks { check.cancel() }
        checks = []
    }
}
