internal import Locks
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// The way to a worker that has asked for a name. Any thread.
struct NamePost: Sendable {
    /// Hands an answer over; nothing happens where the worker has ended.
    let answer: @Sendable (NameTicket, FoundName) -> Void
    /// Asks it to look a name up. False where it takes nothing any more.
    let lookUp: @Sendable (String) -> Bool
}

/// What was found, and when somebody began to look, in milliseconds on the loop's clock.
struct FoundName: Sendable {
    let answer: NameAnswer
    let began: UInt64
}

/// The names of all workers.
typealias SharedNames = Guarded<NameTable<NamePost>>

/// Finds the addresses of names for one worker: asks the ``NameTable`` of all workers, and does the lookups that
/// it hands out.
///
/// An answer comes through the mailbox of the worker that asked, whichever worker's loop has looked it up.
///
/// - Isolation: the worker's thread.
final class Lookups: NameLookupDelegate {
    enum Outcome {
        /// Good until a time of the loop's.
        case answer(NameAnswer, expiry: UInt64)
        /// The answer is passed on later, unless the ticket is cancelled.
        case pending(NameTicket)
    }

    private let names: SharedNames
    /// `nil`: the system's.
    private let nameResolver: (any NameResolver)?
    private let resolutions: PendingAnswers<ResolvedName>
    private let loop: EventLoop
    private let post: NamePost
    private var isClosed = false
    private var asking: [NameTicket: (FoundName) -> Void] = [:]

    init(
        _ names: SharedNames,
        _ nameResolver: (any NameResolver)?,
        _ loop: EventLoop,
        _ post: NamePost,
        _ resolutions: PendingAnswers<ResolvedName>
    ) {
        self.names = names
        self.nameResolver = nameResolver
        self.resolutions = resolutions
        self.loop = loop
        self.post = post
    }

    /// - Parameters:
    ///   - client: who wants to know, for the share of the lookups that a source may have.
    ///   - answered: called once at the most, and never before this returns.
    func resolve(
        _ name: HostName,
        for client: Peer,
        _ answered: @escaping (FoundName) -> Void
    ) -> Outcome {
        let name = name.description
        let now = loop.now
        switch names.withLock({ $0.ask(name, for: ClientSource(client), post, now: now) }) {
        case .answer(let answer, let expiry):
            return .answer(answer, expiry: expiry)
        case .wait(let ticket):
            asking[ticket] = answered
            return .pending(ticket)
        case .lookUp(let ticket):
            asking[ticket] = answered
            lookUp([name])
            return .pending(ticket)
        }
    }

    /// Nobody could be reached at the addresses of an answer from the cache: forgets it, unless a newer one is there.
    ///
    /// - Parameter expiry: as ``resolve(_:for:_:)`` has told it.
    func forget(_ name: HostName, goodUntil expiry: UInt64) {
        names.withLock { $0.forget(name.description, goodUntil: expiry) }
    }

    /// Names may be looked up from now on; what all workers have been asked for begins here.
    func open(atOnce count: Int) {
        lookUp(names.withLock { [now = loop.now] in $0.open(parallel: count, now: now) })
    }

    func cancel(_ ticket: NameTicket) {
        asking[ticket] = nil
        names.withLock { $0.cancel(ticket) }
    }

    /// An answer has come through the mailbox, maybe after it was cancelled.
    func pass(_ found: FoundName, to ticket: NameTicket) {
        asking.removeValue(forKey: ticket)?(found)
    }

    /// Looks up what another worker can't any more, for sessions of this one.
    func takeOver(_ name: String) {
        lookUp([name])
    }

    /// Nobody of this worker waits for anything any more. What sessions of others wait for is handed over to them,
    /// but for the system's lookups, which go on.
    func close() {
        isClosed = true
        resolutions.passAll(.unavailable)
    }

    /// Begins lookups; for one that libuv refuses, the next ones.
    private func lookUp(_ names: [String]) {
        var names = names
        while let name = names.popLast() {
            if isClosed {
                names += handOver(name)
                continue
            }
            if let nameResolver {
                names += ask(nameResolver, name)
                continue
            }
            do throws(UVError) {
                _ = try NameLookup(name, on: loop, delegate: self)
            } catch {
                // libuv has found the name itself impossible, as one with an empty label.
                names += finish(name, .failure(error == .outOfMemory ? error : .nameNotFound))
            }
        }
    }

    /// - Returns: the names to be looked up next, where this one is answered at once.
    private func ask(_ nameResolver: any NameResolver, _ name: String) -> [String] {
        switch nameResolver.resolve(name) {
        case .now(let found):
            return finish(name, found.answer)
        case .later(let answer):
            _ = resolutions.begin(answer) { [unowned self] in
                lookUp(isClosed ? [name] : finish(name, $0.answer))
            }
            return []
        }
    }

    /// Has one of the workers whose sessions wait for the name look it up.
    ///
    /// - Returns: the names to be looked up next, where there is none.
    private func handOver(_ name: String) -> [String] {
        let askers = names.withLock { $0.askers(of: name) }
        if askers.contains(where: { $0.lookUp(name) }) { return [] }
        return finish(name, .failure(.hostUnreachable))
    }

    /// Tells all who wait for the name.
    ///
    /// - Returns: the names to be looked up next.
    private func finish(_ name: String, _ answer: NameAnswer) -> [String] {
        let now = loop.now
        let began = names.withLock { $0.begin(of: name) } ?? now
        let (askers, next) = names.withLock { $0.finished(name, answer, now: now) }
        let found = FoundName(answer: answer, began: began)
        for (ticket, post) in askers { post.answer(ticket, found) }
        return next
    }

    // MARK: NameLookupDelegate

    func lookup(_ lookup: NameLookup, didFind addresses: [SocketAddress]) {
        lookUp(finish(lookup.name, .success(addresses)))
    }

    func lookup(_ lookup: NameLookup, didFail error: UVError) {
        lookUp(finish(lookup.name, .failure(error)))
    }
}

extension ResolvedName {
    fileprivate var answer: NameAnswer {
        switch self {
        case .addresses(let found):
            let addresses = found.map { SocketAddress($0, port: 0) }
            return addresses.isEmpty ? .failure(.nameNotFound) : .success(addresses)
        case .notFound: return .failure(.nameNotFound)
        case .unavailable: return .failure(.hostUnreachable)
        }
    }
}
