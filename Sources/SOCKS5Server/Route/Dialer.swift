internal import SOCKS5Protocol
internal import UVLoop

/// Finds and connects the target of one request: a literal at once, a name through the ``Resolver``, and of several
/// addresses the first to answer in a ``DialRace``.
///
/// - Isolation: the worker's thread.
/// - Ownership: the session's, from the request until a target is connected or none can be. Streams are
///   registered with the session, which also awaits the end of those that failed or lost.
final class Dialer: TargetSource, TCPStreamDelegate {
    private unowned let session: Session
    private unowned let worker: Worker
    private let search: CandidateSearch
    private var race: DialRace?
    private var attempts: [(attempt: DialRace.Attempt, stream: TCPStream)] = []

    init(_ session: Session, _ worker: Worker) {
        self.session = session
        self.worker = worker
        search = CandidateSearch(worker, session.record, .connect)
    }

    /// Ends in one call of ``Session/dialerDidConnect(_:)``, ``Session/refuse(_:)`` or ``Session/deny(_:)``, maybe
    /// at once; or by ``cancel()`` or ``timeOut()``.
    func start(_ target: Target) {
        search.start(target) { [unowned self] in dial($0) }
    }

    func cancel() {
        search.cancel()
        for attempt in attempts { close(attempt.attempt) }
    }

    /// A name that isn't found in time is one that isn't found, as glibc has it for a resolver that doesn't answer.
    func timeOut() -> Reply {
        if race != nil { search.forget() }
        cancel()
        return race?.timedOut() ?? .hostUnreachable
    }

    func turnCame() {
        if let action = race?.nextTurn() { perform(action) }
    }

    private func dial(_ candidates: Candidates) {
        switch candidates {
        case .denied(let denial):
            session.deny(denial)
        case .none(let reply):
            session.refuse(reply)
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
                if let dropped { close(dropped) }
                next = connect(attempt, to: address)
            case .wait:
                break
            case .lookUpAgain:
                search.startAgain { [unowned self] in lookUpDidEnd($0) }
            case .take(let attempt, let losers):
                search.cancel()
                for loser in losers { close(loser) }
                if let stream = take(attempt) { session.dialerDidConnect(stream) }
            case .giveUp(let reply):
                session.refuse(reply)
            }
        }
    }

    private func lookUpDidEnd(_ candidates: Candidates) {
        if let action = race?.foundAgain(candidates) { perform(action) }
    }

    /// - Returns: what follows where it fails at once.
    private func connect(_ attempt: DialRace.Attempt, to address: SocketAddress) -> DialRace.Action? {
        worker.await(.turn, for: session)
        do throws(UVError) {
            let stream = try TCPStream(on: worker.loop, delegate: self)
            session.handleDidOpen()
            attempts.append((attempt, stream))
            try stream.connect(to: address, by: worker.egress(of: Subject(session.record, .connect)))
            return nil
        } catch {
            if error == .addressInUse {
                worker.context.portShortage.note(.connect, nil, now: worker.loop.now)
            }
            close(attempt)
            return race?.failed(attempt, Reply(error))
        }
    }

    private func take(_ attempt: DialRace.Attempt) -> TCPStream? {
        guard let index = attempts.firstIndex(where: { $0.attempt == attempt }) else { return nil }
        return attempts.remove(at: index).stream
    }

    private func close(_ attempt: DialRace.Attempt) {
        guard let stream = take(attempt) else { return }
        stream.delegate = session.relay
        stream.close()
    }

    // MARK: TCPStreamDelegate

    func stream(_ stream: TCPStream, didConnect error: UVError?) {
        guard let attempt = attempts.first(where: { $0.stream === stream })?.attempt else { return }
        if let error {
            close(attempt)
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
