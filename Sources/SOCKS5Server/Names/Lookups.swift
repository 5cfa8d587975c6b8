internal import Locks
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// The way back to a worker that has asked for a name. Any thread.
struct NamePost: Sendable {
    /// Delivers an answer; does nothing if the worker has ended.
    let answer: @Sendable (NameTicket, FoundName) -> Void
    /// Asks the worker to look a name up. Returns false if it accepts nothing any more.
    let lookUp: @Sendable (String) -> Bool
}

/// The answer, and when its lookup began, in milliseconds on the loop's clock.
struct FoundName: Sendable {
    let answer: NameAnswer
    let began: UInt64
}

/// The table of names of all workers.
typealias SharedNames = Guarded<NameTable<NamePost>>

/// Resolves names for one worker: asks the ``NameTable`` of all workers, and performs the lookups that it assigns.
///
/// An answer comes through the mailbox of the worker that asked, regardless of which worker's loop has looked it up.
///
/// - Isolation: the worker's thread.
final class Lookups: NameLookupDelegate {
    enum Outcome {
        /// Valid until this time on the loop's clock.
        case answer(NameAnswer, expiry: UInt64)
        /// The answer follows later, unless the ticket is cancelled.
        case pending(NameTicket)
    }

    private let names: SharedNames
    /// If `nil`, the system's resolver is used.
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
    ///   - client: the client that asks; lookups are limited per source.
    ///   - answered: called at most once, and never before this returns.
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

    /// No address of a cached answer could be reached: forgets the answer, unless a newer one is there.
    ///
    /// - Parameter expiry: the one that ``resolve(_:for:_:)`` returned.
    func forget(_ name: HostName, goodUntil expiry: UInt64) {
        names.withLock { $0.forget(name.description, goodUntil: expiry) }
    }

    /// Lookups may run from now on; those that all workers are waiting for begin here.
    func open(atOnce count: Int) {
        lookUp(names.withLock { [now = loop.now] in $0.open(parallel: count, now: now) })
    }

    func cancel(_ ticket: NameTicket) {
        asking[ticket] = nil
        names.withLock { $0.cancel(ticket) }
    }

    /// An answer has come through the mailbox, possibly after the ticket was cancelled.
    func pass(_ found: FoundName, to ticket: NameTicket) {
        asking.removeValue(forKey: ticket)?(found)
    }

    /// Looks up a name for sessions of this worker, because the assigned worker can't any more.
    func takeOver(_ name: String) {
        lookUp([name])
    }

    /// No session of this worker waits for anything any more. Lookups that others' sessions wait for are handed over to
    /// their workers, except lookups by the system, which continue.
    func close() {
        isClosed = true
        resolutions.passAll(.unavailable)
    }

    /// Starts lookups. For each one that libuv refuses, the next ones are started.
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
                // libuv itself has rejected the name, for example because of an empty label.
                names += finish(name, .failure(error == .outOfMemory ? error : .nameNotFound))
            }
        }
    }

    /// - Returns: the names to look up next, if this one was answered at once.
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

    /// Asks one of the workers whose sessions wait for the name to look it up.
    ///
    /// - Returns: the names to look up next, if there is no such worker.
    private func handOver(_ name: String) -> [String] {
        let askers = names.withLock { $0.askers(of: name) }
        if askers.contains(where: { $0.lookUp(name) }) { return [] }
        return finish(name, .failure(.hostUnreachable))
    }

    /// Delivers the answer to all that wait for the name.
    ///
    /// - Returns: the names to look up next.
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
