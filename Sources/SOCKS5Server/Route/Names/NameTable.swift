internal import ProxyPolicy
internal import UVLoop

/// One wish to know the addresses of a name.
struct NameTicket: Hashable, Sendable {
    fileprivate let name: String
    fileprivate let number: UInt64
}

/// What is known about names, who waits for which, and which are looked up next: one for all workers.
///
/// A name is looked up once however many ask. There are only so many threads to look up with, and a name may hold
/// one for as long as its servers like: no source gets more of them than it leaves to all others, names beyond that
/// wait in a queue of their source, and the queues take turns. A name waits in the queue of each source that asks
/// for it, so that none waits behind another's. Pure: who calls it does the lookups.
struct NameTable<Asker: Sendable> {
    enum Outcome {
        /// Known already, and good until then; or too much waits already, `EAGAIN`, which is good for this time.
        case answer(NameAnswer, expiry: UInt64)
        /// ``finished(_:_:now:)`` will have the answer.
        case wait(NameTicket)
        /// The same, and the caller is to look the name up.
        case lookUp(NameTicket)
    }

    private struct Pending {
        /// Who pays for the lookup that runs; `nil`: it waits.
        var payer: ClientSource?
        var askers: [NameTicket: (asker: Asker, source: ClientSource)] = [:]
    }

    private struct Account {
        var running = 0
        /// Names that wait, the next one first.
        var queue: [String] = []
    }

    private var parallel: Int
    private let parallelPerSource: Int
    private let waitingPerSource: Int
    private let waitingOfAll: Int
    private var cache: NameCache
    private var pending: [String: Pending] = [:]
    private var accounts: [ClientSource: Account] = [:]
    /// The sources with a queue, the next one first.
    private var turns: [ClientSource] = []
    private var running = 0
    private var waiting = 0
    private var lastNumber: UInt64 = 0

    /// - Parameter parallel: how many lookups may run at once; none: all wait for ``open(parallel:)``.
    init(_ settings: Configuration.Resolver, parallel: Int = 0) {
        self.parallel = parallel
        parallelPerSource = settings.lookupsPerSource
        waitingPerSource = settings.waitingPerSource
        waitingOfAll = settings.waiting
        cache = NameCache(settings)
    }

    mutating func ask(_ name: String, for source: ClientSource, _ asker: Asker, now: UInt64) -> Outcome {
        if let (answer, expiry) = cache.answer(to: name, now: now) { return .answer(answer, expiry: expiry) }
        let mustWait = !hasRoom(for: source)
        let isRunning = pending[name]?.payer != nil
        if mustWait && !isRunning && !isWaiting(name, for: source) {
            guard enqueue(name, for: source) else { return .answer(.failure(.tryAgain), expiry: now) }
        }
        lastNumber += 1
        let ticket = NameTicket(name: name, number: lastNumber)
        pending[name, default: Pending()].askers[ticket] = (asker, source)
        if isRunning || mustWait { return .wait(ticket) }
        start(name, payer: source)
        return .lookUp(ticket)
    }

    /// An answer that was good until then has turned out to be old: the next to ask has the name looked up.
    mutating func forget(_ name: String, goodUntil expiry: UInt64) {
        cache.forget(name, goodUntil: expiry)
    }

    /// Nothing is to be told to this one any more. A lookup that runs goes on, and its answer is kept; one that
    /// nobody waits for any more doesn't begin.
    mutating func cancel(_ ticket: NameTicket) {
        let name = ticket.name
        guard let source = pending[name]?.askers.removeValue(forKey: ticket)?.source,
            pending[name]?.payer == nil
        else { return }
        if !isWaiting(name, for: source) { dequeue(name, for: source) }
        if pending[name]?.askers.isEmpty == true { pending[name] = nil }
    }

    /// A lookup has ended.
    ///
    /// - Returns: whom to tell, and the names that the caller is to look up next.
    mutating func finished(
        _ name: String,
        _ answer: NameAnswer,
        now: UInt64
    ) -> (askers: [(NameTicket, Asker)], next: [String]) {
        guard let lookup = pending.removeValue(forKey: name), let payer = lookup.payer else {
            preconditionFailure("an answer to what isn't looked up")
        }
        running -= 1
        accounts[payer]?.running -= 1
        forgetIfIdle(payer)
        cache.insert(answer, for: name, now: now)
        return (lookup.askers.map { ($0.key, $0.value.asker) }, startWaiting())
    }

    /// So many lookups may run at once from now on.
    ///
    /// - Returns: the names that the caller is to look up.
    mutating func open(parallel: Int) -> [String] {
        self.parallel = parallel
        return startWaiting()
    }

    private mutating func startWaiting() -> [String] {
        var names: [String] = []
        while let name = startNext() { names.append(name) }
        return names
    }

    /// The first source to come gets half of all lookups, the second half of the rest, and so on.
    private func hasRoom(for source: ClientSource) -> Bool {
        (accounts[source]?.running ?? 0) < min(parallelPerSource, parallel - running)
    }

    private mutating func startNext() -> String? {
        for _ in turns.indices {
            let source = turns.removeFirst()
            turns.append(source)
            guard hasRoom(for: source), let name = accounts[source]?.queue.first else { continue }
            start(name, payer: source)
            return name
        }
        return nil
    }

    private mutating func start(_ name: String, payer: ClientSource) {
        running += 1
        accounts[payer, default: Account()].running += 1
        pending[name]?.payer = payer
        for source in Set((pending[name]?.askers ?? [:]).values.map(\.source)) { dequeue(name, for: source) }
    }

    // MARK: - Queues

    private func isWaiting(_ name: String, for source: ClientSource) -> Bool {
        pending[name]?.askers.values.contains { $0.source == source } ?? false
    }

    /// - Returns: false where too much waits already.
    private mutating func enqueue(_ name: String, for source: ClientSource) -> Bool {
        let length = accounts[source]?.queue.count ?? 0
        guard length < waitingPerSource, waiting < waitingOfAll else { return false }
        accounts[source, default: Account()].queue.append(name)
        if length == 0 { turns.append(source) }
        waiting += 1
        return true
    }

    private mutating func dequeue(_ name: String, for source: ClientSource) {
        guard let index = accounts[source]?.queue.firstIndex(of: name) else { return }
        accounts[source]?.queue.remove(at: index)
        waiting -= 1
        if accounts[source]?.queue.isEmpty == true { turns.removeAll { $0 == source } }
        forgetIfIdle(source)
    }

    private mutating func forgetIfIdle(_ source: ClientSource) {
        if let account = accounts[source], account.running == 0 && account.queue.isEmpty {
            accounts[source] = nil
        }
    }
}
