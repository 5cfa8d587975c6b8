internal import SOCKS5Protocol
internal import UVLoop

/// Finds and connects the target of one request: an address at once, a name after its lookup by ``Lookups``, and of
/// several addresses the first to answer in a ``DialRace``.
///
/// - Isolation: the worker's thread.
final class Direct: Connector, TCPStreamDelegate {
    private unowned let delegate: any ConnectorDelegate
    private let services: Services
    private let target: Target
    private let search: CandidateSearch
    /// The route's egress; if `nil`, the policy's.
    private let egress: EgressWay?
    @exclusivity(unchecked) private var race: DialRace?
    @exclusivity(unchecked) private var attempts:
        [(attempt: DialRace.Attempt, stream: TCPStream, address: SocketAddress)] = []

    /// - Parameters:
    ///   - isParent: whether the target is a proxy of the operator, which rules don't apply to.
    ///   - admits: which of its addresses are considered at all.
    init(
        _ delegate: any ConnectorDelegate,
        _ services: Services,
        to target: Target,
        for subject: Subject,
        by way: Ways.Way? = nil,
        isParent: Bool = false,
        admits: ((SocketAddress) -> Bool)? = nil
    ) {
        self.delegate = delegate
        self.services = services
        self.target = target
        egress = way?.egress
        search = CandidateSearch(services, subject, isJudged: !isParent, admits: admits)
        if let way, !isParent { search.notes.way = WayTaken(way.name) }
    }

    var notes: RouteNotes { search.notes }

    func start() {
        search.start(target) { [unowned self] in dial($0) }
    }

    func cancel() {
        search.cancel()
        for attempt in attempts { abandon(attempt.attempt) }
    }

    /// A name whose lookup takes too long counts as not found, as glibc does for a resolver that doesn't answer.
    func timeOut() -> Reply {
        if race != nil { search.forget() }
        cancel()
        return race?.timedOut() ?? .hostUnreachable
    }

    func tick() {
        if let action = race?.nextTurn() { perform(action) }
    }

    private func dial(_ candidates: Candidates) {
        switch candidates {
        case .denied(let denial):
            delegate.connectorDidReport(.denied(denial))
        case .none(let reply):
            delegate.connectorDidReport(.failed(reply))
        case .addresses(let addresses):
            var race = DialRace(addresses, mayBeStale: search.mayBeStale)
            let action = race.nextTurn()
            self.race = race
            perform(action)
        }
    }

    private func perform(_ action: DialRace.Action) {
        var next: DialRace.Action? = action
        while let action = next {
            next = nil
            switch action {
            case .connect(let attempt, let address, let dropped):
                if let dropped { abandon(dropped) }
                next = connect(attempt, to: address)
            case .wait:
                break
            case .lookUpAgain:
                search.startAgain { [unowned self] in lookUpDidEnd($0) }
            case .take(let attempt, let losers):
                search.cancel()
                for loser in losers { abandon(loser) }
                if let winner = take(attempt) {
                    services.counters.add(.connected, isIPv6: winner.address.isIPv6)
                    report(winner.stream, winner.address)
                }
            case .giveUp(let reply):
                delegate.connectorDidReport(.failed(reply))
            }
        }
    }

    private func report(_ stream: TCPStream, _ address: SocketAddress) {
        do throws(UVError) {
            let bound = try stream.localAddress()
            search.notes.address = address
            search.notes.bound = bound
            delegate.connectorDidReport(.connected(stream, bound: Destination(bound)))
        } catch {
            services.closer.close(stream)
            delegate.connectorDidReport(.failed(Reply(error)))
        }
    }

    private func lookUpDidEnd(_ candidates: Candidates) {
        if let action = race?.foundAgain(candidates) { perform(action) }
    }

    /// - Returns: the next action if it fails at once.
    private func connect(_ attempt: DialRace.Attempt, to address: SocketAddress) -> DialRace.Action? {
        delegate.connectorDidBeginAttempt()
        search.notes.attemptDidBegin(to: address, now: services.clock.now)
        do throws(UVError) {
            let stream = try TCPStream(on: services.loop, delegate: self)
            attempts.append((attempt, stream, address))
            try stream.connect(
                to: address,
                by: services.egress(of: search.subject, isIPv6: address.isIPv6, by: egress)
            )
            return nil
        } catch {
            if error == .addressInUse { services.portShortage.note(.connect, nil, now: services.clock.now) }
            close(attempt, error)
            search.notes.note(error)
            return race?.failed(attempt, Reply(error))
        }
    }

    private func take(_ attempt: DialRace.Attempt) -> (stream: TCPStream, address: SocketAddress)? {
        guard let index = attempts.firstIndex(where: { $0.attempt == attempt }) else { return nil }
        let taken = attempts.remove(at: index)
        return (taken.stream, taken.address)
    }

    private func abandon(_ attempt: DialRace.Attempt) { close(attempt, as: .abandoned) }

    private func close(_ attempt: DialRace.Attempt, _ error: UVError) {
        close(attempt, as: ConnectResult(error))
    }

    private func close(_ attempt: DialRace.Attempt, as result: ConnectResult) {
        guard let taken = take(attempt) else { return }
        services.counters.add(result, isIPv6: taken.address.isIPv6)
        services.closer.close(taken.stream)
    }

    // MARK: TCPStreamDelegate

    func stream(_ stream: TCPStream, didConnect error: UVError?) {
        guard let attempt = attempts.first(where: { $0.stream === stream })?.attempt else { return }
        if let error {
            close(attempt, error)
            search.notes.note(error)
            if let action = race?.failed(attempt, Reply(error)) { perform(action) }
        } else if let action = race?.connected(attempt) {
            perform(action)
        }
    }

    func bufferForReading(_ stream: TCPStream) -> UnsafeMutableRawBufferPointer {
        preconditionFailure("a stream is read before it is connected")
    }

    func stream(_ stream: TCPStream, didRead count: Int) {
        preconditionFailure("a stream is read before it is connected")
    }

    func streamDidEnd(_ stream: TCPStream) {
        preconditionFailure("a stream is read before it is connected")
    }

    func stream(_ stream: TCPStream, didFail error: UVError) {
        preconditionFailure("a stream is used before it is connected")
    }

    func streamDidWrite(_ stream: TCPStream) {
        preconditionFailure("a stream is written before it is connected")
    }

    func streamDidClose(_ stream: TCPStream) {
        preconditionFailure("a stream is closed behind its session's back")
    }
}
