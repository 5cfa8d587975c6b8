internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Finds the candidate addresses for the target of one request: the address itself, or the addresses of a name by
/// ``Lookups``, all checked by the policy.
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by the ``Connector`` that needs it.
final class CandidateSearch {
    private let services: Services
    let subject: Subject
    private let isJudged: Bool
    /// Which addresses are considered at all; `nil` for all.
    private let admits: ((SocketAddress) -> Bool)?
    private var ticket: NameTicket?
    /// The cached answer that the candidates come from, until it is forgotten.
    private var cached: (name: HostName, port: UInt16, expiry: UInt64)?
    /// The connector's notes, with the times of the first lookup.
    var notes = RouteNotes()

    /// - Parameters:
    ///   - isJudged: whether rules and guard decide about the addresses. If false, only this server itself is denied.
    ///   - admits: which addresses are considered at all.
    init(
        _ services: Services,
        _ subject: Subject,
        isJudged: Bool = true,
        admits: ((SocketAddress) -> Bool)? = nil
    ) {
        self.services = services
        self.subject = subject
        self.isJudged = isJudged
        self.admits = admits
    }

    /// - Parameter found: called once, possibly before this returns, unless ``cancel()`` is called first.
    func start(_ target: Target, _ found: @escaping (Candidates) -> Void) {
        switch target {
        case .address(let address, let port):
            found(candidates([SocketAddress(address, port: port)], named: nil))
        case .name(let name, let port):
            lookUp(name, port, found)
        }
    }

    /// Whether the candidates came from the cache, so that ``startAgain(_:)`` may find others.
    var mayBeStale: Bool { cached != nil }

    /// No candidate could be reached: removes the cached answer, if there is one, so that other requests don't get it.
    func forget() {
        if let cached { services.lookups.forget(cached.name, goodUntil: cached.expiry) }
        cached = nil
    }

    /// Removes the cached answer, and looks the name up again.
    ///
    /// - Parameter found: called once, possibly before this returns, unless ``cancel()`` is called first.
    func startAgain(_ found: @escaping (Candidates) -> Void) {
        guard let (name, port, _) = cached else { preconditionFailure("nothing was cached") }
        forget()
        lookUp(name, port, found)
    }

    func cancel() {
        if let ticket { services.lookups.cancel(ticket) }
        ticket = nil
    }

    private func lookUp(_ name: HostName, _ port: UInt16, _ found: @escaping (Candidates) -> Void) {
        notes.lookupDidStart(now: services.clock.now)
        let outcome = services.lookups.resolve(name, for: subject.client) { [unowned self] answered in
            ticket = nil
            notes.lookupDidEnd(began: answered.began, now: services.clock.now)
            found(candidates(answered.answer, name, port))
        }
        switch outcome {
        case .answer(let answer, let expiry):
            cached = (name, port, expiry)
            notes.lookupDidEnd(began: nil, now: services.clock.now)
            found(candidates(answer, name, port))
        case .pending(let ticket): self.ticket = ticket
        }
    }

    private func candidates(_ answer: NameAnswer, _ name: HostName, _ port: UInt16) -> Candidates {
        switch answer {
        case .success(let found):
            return candidates(found.map { SocketAddress(host: $0.host, port: port) }, named: name)
        case .failure(let error):
            notes.note(error)
            return .none(Reply(error))
        }
    }

    /// Every address that is ever dialled, or whose connection is ever accepted for a BIND, passes here.
    private func candidates(_ addresses: [SocketAddress], named name: HostName?) -> Candidates {
        let (families, policy) = (services.families, services.policy.access)
        let addresses = admits.map { addresses.filter($0) } ?? addresses
        guard isJudged else {
            let own = services.policy.ownListeners
            return Candidates(
                addresses,
                preferred: families.preferred,
                only: families.only,
                denial: {
                    own.contains(IPAddress($0.host), port: $0.port) ? .destination(.ownListener) : nil
                }
            )
        }
        return Candidates(
            addresses,
            preferred: families.preferred,
            only: families.only,
            denial: { policy.denial(of: IPAddress($0.host), port: $0.port, named: name, to: subject) }
        )
    }
}
