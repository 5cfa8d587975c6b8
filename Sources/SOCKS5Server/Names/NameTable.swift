internal import Locks
internal import ProxyPolicy
internal import Tables
internal import UVLoop

/// Identifies one request for the addresses of a name.
struct NameTicket: Hashable, Sendable {
    fileprivate let name: String
    fileprivate let number: UInt64
}

/// The known names, the requests that wait for names, and the order of lookups: one table for all workers.
///
/// A name is looked up once, regardless of how many requests there are. The number of lookup threads is limited, and a
/// name may occupy one for as long as its servers like. So no source gets more threads than it leaves to all others,
/// and further names wait in a ``FairQueue``. A name waits in the queue of each source that asks for it, so that no
/// source waits behind another's queue. Pure: the caller performs the lookups.
///
/// Locked by all workers, so everything is O(1), with two exceptions: delivering answers, and passing over sources
/// without room when the next lookup is chosen. Each such source has a lookup running, so there are fewer of them than
/// lookups.
struct NameTable<Asker: Sendable> {
    private typealias Queue = FairQueue<ClientSource, String>

    enum Outcome {
        /// Known already, and valid until `expiry`; or too much is waiting already: then the answer is `EAGAIN`, and
        /// isn't cached.
        case answer(NameAnswer, expiry: UInt64)
        /// ``finished(_:_:now:)`` will return the answer.
        case wait(NameTicket)
        /// As above, and the caller must look the name up.
        case lookUp(NameTicket)
    }

    private struct Pending {
        /// The source that the running lookup counts for; `nil` if the name waits.
        var payer: ClientSource?
        /// When the lookup began.
        var began: UInt64 = 0
        var askers: [NameTicket: (asker: Asker, source: ClientSource)] = [:]
        /// Where the name waits, and how many requests of each source ask for it.
        var places: [ClientSource: (place: Queue.Place, askers: Int)] = [:]
    }

    private var parallel: Int
    private let parallelPerSource: Int
    /// Configured answers, which need no lookup.
    private let hosts: [String: NameAnswer]
    private var cache: NameCache
    private var pending: [String: Pending] = [:]
    private var queue: Queue
    private var running = 0
    /// Running lookups per source.
    private var runningPerSource: [ClientSource: Int] = [:]
    private var lastNumber: UInt64 = 0
    let counts = NameCounts()

    /// - Parameter parallel: how many lookups may run at once; with 0, all wait for ``open(parallel:)``.
    init(_ settings: Configuration.Resolver, parallel: Int = 0) {
        self.parallel = parallel
        parallelPerSource = settings.lookupsPerSource
        hosts = settings.hosts.reduce(into: [:]) { hosts, host in
            hosts[host.key.description] = .success(host.value.map { SocketAddress($0, port: 0) })
        }
        queue = Queue(limit: settings.waiting, limitPerSource: settings.waitingPerSource)
        cache = NameCache(settings)
    }

    mutating func ask(_ name: String, for source: ClientSource, _ asker: Asker, now: UInt64) -> Outcome {
        if !hosts.isEmpty, let answer = hosts[name] {
            counts.hits.add()
            return .answer(answer, expiry: .max)
        }
        if let (answer, expiry) = cache.answer(to: name, now: now) {
            counts.hits.add()
            return .answer(answer, expiry: expiry)
        }
        counts.misses.add()
        defer { noteQueue() }
        let isRunning = pending[name]?.payer != nil
        let mustWait = (runningPerSource[source] ?? 0) >= mostPerSource
        if !isRunning && mustWait && !enqueue(name, for: source) {
            counts.refusals.add()
            return .answer(.failure(.tryAgain), expiry: now)
        }
        lastNumber += 1
        let ticket = NameTicket(name: name, number: lastNumber)
        pending[name, default: Pending()].askers[ticket] = (asker, source)
        if isRunning || mustWait { return .wait(ticket) }
        start(name, payer: source, now)
        return .lookUp(ticket)
    }

    /// A cached answer that expires at this time has proved to be out of date: the next request looks the name up.
    mutating func forget(_ name: String, goodUntil expiry: UInt64) {
        cache.forget(name, goodUntil: expiry)
    }

    /// Empties the cache; running lookups continue.
    ///
    /// - Returns: the number of cached answers.
    mutating func forgetAll() -> Int { cache.removeAll() }

    /// The request doesn't need its answer any more. A running lookup continues, and its answer is cached; a waiting
    /// one without requests doesn't begin.
    mutating func cancel(_ ticket: NameTicket) {
        let name = ticket.name
        guard let source = pending[name]?.askers.removeValue(forKey: ticket)?.source,
            let (place, askers) = pending[name]?.places[source]
        else { return }
        guard askers == 1 else {
            pending[name]?.places[source]?.askers = askers - 1
            return
        }
        queue.remove(place)
        noteQueue()
        pending[name]?.places[source] = nil
        if pending[name]?.askers.isEmpty == true { pending[name] = nil }
    }

    /// When the lookup of a name began; `nil` if none is running.
    func begin(of name: String) -> UInt64? {
        pending[name].flatMap { $0.payer == nil ? nil : $0.began }
    }

    /// A lookup has ended.
    ///
    /// - Returns: the requests to answer, and the names that the caller must look up next.
    mutating func finished(
        _ name: String,
        _ answer: NameAnswer,
        now: UInt64
    ) -> (askers: [(NameTicket, Asker)], next: [String]) {
        guard let lookup = pending.removeValue(forKey: name), let payer = lookup.payer else {
            preconditionFailure("an answer to what isn't looked up")
        }
        running -= 1
        let others = (runningPerSource[payer] ?? 1) - 1
        runningPerSource[payer] = others > 0 ? others : nil
        cache.insert(answer, for: name, now: now)
        return (lookup.askers.map { ($0.key, $0.value.asker) }, startWaiting(now))
    }

    /// The requests that wait for a name.
    func askers(of name: String) -> [Asker] {
        pending[name]?.askers.values.map(\.asker) ?? []
    }

    /// From now on this many lookups may run at once.
    ///
    /// - Returns: the names that the caller must look up.
    mutating func open(parallel: Int, now: UInt64) -> [String] {
        self.parallel = parallel
        return startWaiting(now)
    }

    private mutating func startWaiting(_ now: UInt64) -> [String] {
        var names: [String] = []
        while let name = startNext(now) { names.append(name) }
        noteQueue()
        return names
    }

    /// The first source gets half of all lookups, the second half of the rest, and so on.
    private var mostPerSource: Int { min(parallelPerSource, parallel - running) }

    private mutating func startNext(_ now: UInt64) -> String? {
        guard running < parallel else { return nil }
        let (shares, most) = (runningPerSource, mostPerSource)
        guard let (payer, name) = queue.takeNext(where: { (shares[$0] ?? 0) < most }) else { return nil }
        pending[name]?.places[payer] = nil
        start(name, payer: payer, now)
        return name
    }

    private func noteQueue() {
        counts.running.set(running)
        counts.waiting.set(queue.count)
    }

    /// Removes the name from all queues.
    private mutating func start(_ name: String, payer: ClientSource, _ now: UInt64) {
        running += 1
        runningPerSource[payer, default: 0] += 1
        for (place, _) in (pending[name]?.places ?? [:]).values { queue.remove(place) }
        pending[name]?.places = [:]
        pending[name]?.payer = payer
        pending[name]?.began = now
    }

    /// - Returns: false if too much is waiting already.
    private mutating func enqueue(_ name: String, for source: ClientSource) -> Bool {
        if let waiting = pending[name]?.places[source]?.askers {
            pending[name]?.places[source]?.askers = waiting + 1
            return true
        }
        guard let place = queue.append(name, for: source) else { return false }
        pending[name, default: Pending()].places[source] = (place, 1)
        return true
    }
}
