internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Sends each datagram of an association by the route of its target: directly, or through a parent.
///
/// An association keeps the routes that were valid at its beginning, as a connection does; rules and guard are always
/// the current ones. A name is sent to the parent unchanged. If the route says so, or if only the name's addresses tell
/// which route it takes, it is looked up first, and one of its addresses is sent to.
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by the association until all its paths are closed.
final class RoutedPath: LookingPath {
    private enum Path {
        case straight(DirectPath)
        case parent(ParentPath)

        var any: any DatagramPath {
            switch self {
            case .straight(let path): path
            case .parent(let path): path
            }
        }
    }

    private struct Branch {
        /// If `nil`, datagrams go directly to their targets.
        let pool: ParentPool?
        /// The way whose egress is used; if `nil`, the policy's.
        let way: Ways.Way?
        let path: Path
    }

    /// Each branch has up to two sockets.
    private static let maxBranches = 4

    unowned let delegate: any DatagramPathDelegate
    let services: Services
    let subject: Subject
    var recentAnswers = RecentAnswers()
    var waiting: WaitingDatagrams
    var hasTold = false
    private let slot: Clock.Slot
    private let ways: Ways
    private let meter: Meter?
    /// Opened with the first datagram for them. The first branch uses the association's own place for its target
    /// sockets.
    private var branches: [Branch] = []
    /// Reported once, because an association has one line in the log.
    private var hasReported = false

    /// - Parameter slot: the session's.
    init(
        _ delegate: any DatagramPathDelegate,
        _ services: Services,
        _ slot: Clock.Slot,
        by ways: Ways,
        for subject: Subject,
        _ meter: Meter?
    ) {
        self.delegate = delegate
        self.services = services
        self.slot = slot
        self.ways = ways
        self.subject = subject
        self.meter = meter
        waiting = WaitingDatagrams(services.budget)
    }

    func tick() -> Bool {
        var isOpening = false
        for branch in branches where branch.path.any.tick() { isOpening = true }
        return isOpening
    }

    func close() {
        stopLookingUp()
        if branches.isEmpty { return delegate.pathDidClose() }
        for branch in branches { branch.path.any.close() }
    }

    // MARK: - To a target

    func send(_ payload: UnsafeRawBufferPointer, to target: Target) {
        let match = ways.way(for: RuleTable.Known(target), subject)
        guard case .name(let name, let port) = target, let (way, isCertain) = match,
            !isCertain || way.looksNamesUp && way.datagramParents != nil
        else { return pass(payload, to: target, by: match?.way) }
        if let answer = recentAnswers.answer(for: name, now: services.clock.now) {
            send(payload, to: answer, of: name, port: port)
        } else {
            lookUp(name, port, for: payload)
        }
    }

    func send(
        _ payload: UnsafeRawBufferPointer,
        to answer: NameAnswer,
        of name: HostName,
        port: UInt16
    ) {
        switch answer {
        case .success(let found):
            let families = services.families
            let address = Candidates.first(of: found, port: port, preferred: families.preferred) {
                (families.only ?? $0.family) == $0.family
                    && isAllowed(.address(IPAddress($0.host), port: port), named: name)
            }
            guard let address = address.map({ IPAddress($0.host) }) else {
                let first = found.first.map { Target.address(IPAddress($0.host), port: port) }
                return deny(first.flatMap { denial(of: $0, named: name) }, to: .name(name, port: port))
            }
            let way = ways.way(for: .address(address, port: port, named: name), subject)?.way
            pass(payload, to: .address(address, port: port), by: way, named: name)
        case .failure(let error):
            drop(error)
        }
    }

    /// - Parameter name: the name whose lookup found the target's address.
    private func pass(
        _ payload: UnsafeRawBufferPointer,
        to target: Target,
        by way: Ways.Way?,
        named name: HostName? = nil
    ) {
        guard let path = path(by: way, to: target, named: name) else { return }
        switch (path, target) {
        case (.straight(let path), .address(let address, let port)) where name != nil:
            path.send(payload, to: SocketAddress(address, port: port), named: name)
        case (.straight(let path), _):
            path.send(payload, to: target)
        case (.parent(let path), _):
            path.send(payload, to: target)
        }
    }

    /// The path of a way; `nil` if the datagram may not take any, which is reported. A direct path checks its datagrams
    /// itself.
    private func path(by way: Ways.Way?, to target: Target, named name: HostName?) -> Path? {
        let pool = way?.datagramParents
        if let way, pool == nil, !way.leavesStraight, !way.sendsDatagramsDirectly {
            return lose(way, nil, ParentFailure.unsupported.text)
        }
        if pool != nil {
            guard isAllowed(target, named: name) else {
                deny(denial(of: target, named: name), to: target)
                return nil
            }
            if !hasReported { report(target, named: name) }
        }
        let owner = way?.egress == nil ? nil : way
        if let branch = branches.first(where: { $0.pool === pool && $0.way === owner }) { return branch.path }
        return open(way, pool, owner)
    }

    private func open(_ way: Ways.Way?, _ pool: ParentPool?, _ owner: Ways.Way?) -> Path? {
        if let way, let pool, !pool.passesDatagramsOn {
            return lose(way, pool, ParentFailure.unsupported.text)
        }
        guard branches.count < Self.maxBranches, branches.isEmpty || delegate.takePlaceForPath() else {
            return lose(way, pool, "too many ways, or no place for another one")
        }
        let path: Path
        if let way, let pool {
            path = .parent(ParentPath(delegate, services, slot, by: way, through: pool, for: subject, meter))
        } else {
            path = .straight(DirectPath(delegate, services, for: subject, meter, by: owner?.egress))
        }
        branches.append(Branch(pool: pool, way: owner, path: path))
        return path
    }

    private func lose(_ way: Ways.Way?, _ pool: ParentPool?, _ reason: String) -> Path? {
        delegate.pathDidDrop(.noWay)
        if let way {
            let taken = WayTaken(way.name, through: pool?.name)
            services.journal.datagramsLost(taken, reason, now: services.clock.now)
        }
        return nil
    }

    // MARK: - Rules

    private func isAllowed(_ target: Target, named name: HostName?) -> Bool {
        target.port != 0 && denial(of: target, named: name) == nil
    }

    /// For a name, what can be decided before its lookup: the lookup is up to the parent.
    private func denial(of target: Target, named name: HostName?) -> Denial? {
        let access = services.policy.access
        return switch target {
        case .address(let address, let port): access.denial(of: address, port: port, named: name, to: subject)
        case .name(let name, let port): access.denial(of: name, port: port, to: subject)
        }
    }

    private func report(_ target: Target, named name: HostName?) {
        let access = services.policy.access
        guard access.mayReport(under: subject.terms) else { return }
        let report =
            switch target {
            case .address(let address, let port):
                access.report(of: address, port: port, named: name, to: subject)
            case .name: access.report(of: .connect(target), to: subject)
            }
        guard let report else { return }
        hasReported = true
        delegate.pathDidReport(report, on: subject)
    }
}
