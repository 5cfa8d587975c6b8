package import SOCKS5Protocol
internal import Tables

/// A password to be hashed and compared.
package struct HashWork: Sendable {
    /// Work of one id has one result.
    package let id: LoginDigest
    package let hash: PasswordHash
    package let password: Password
}

/// How many hashes may wait to be computed.
package struct HashLimits {
    package var waiting: Int
    package var waitingPerSource: Int

    package init(waiting: Int = 256, waitingPerSource: Int = 64) {
        self.waiting = waiting
        self.waitingPerSource = waitingPerSource
    }
}

/// Which hash is computed next, and who waits for it.
///
/// Sources take turns (``FairQueue``), so that a flood from one of them delays its own logins. The same login asked for
/// several times, as by a browser that opens many connections, is computed once. Pure.
package struct HashSchedule<Waiter> {
    private typealias Queue = FairQueue<ClientSource, LoginDigest>

    private struct Job {
        let work: HashWork
        /// `nil`: it is being computed.
        var place: Queue.Place?
        var waiters: [UInt64: Waiter]
    }

    private let limits: HashLimits
    /// Those that wait and those that run.
    private var jobs: [LoginDigest: Job] = [:]
    private var queue: Queue

    package init(_ limits: HashLimits) {
        self.limits = limits
        queue = Queue(limit: limits.waiting, limitPerSource: limits.waitingPerSource)
    }

    /// Hashes that wait to be computed.
    package var waiting: Int { queue.count }

    /// - Parameter number: names the waiter, for ``cancel(_:_:)``.
    /// - Returns: false where too many wait already.
    package mutating func add(_ work: HashWork, for source: ClientSource, _ number: UInt64, _ waiter: Waiter)
        -> Bool
    {
        if jobs[work.id] != nil {
            jobs[work.id]?.waiters[number] = waiter
            return true
        }
        guard let place = queue.append(work.id, for: source) else { return false }
        jobs[work.id] = Job(work: work, place: place, waiters: [number: waiter])
        return true
    }

    /// Takes what is to be computed now; ``finish(_:)`` ends it.
    package mutating func next() -> HashWork? {
        guard let id = queue.takeNext()?.value else { return nil }
        jobs[id]?.place = nil
        return jobs[id]?.work
    }

    /// - Returns: those who wait for the result, the first to come first.
    package mutating func finish(_ id: LoginDigest) -> [Waiter] {
        let waiters = jobs.removeValue(forKey: id)?.waiters ?? [:]
        return waiters.sorted { $0.key < $1.key }.map(\.value)
    }

    /// What nobody waits for any longer isn't computed, unless it is under way.
    ///
    /// - Returns: the waiter, unless it had its result already.
    package mutating func cancel(_ id: LoginDigest, _ number: UInt64) -> Waiter? {
        guard let waiter = jobs[id]?.waiters.removeValue(forKey: number) else { return nil }
        if let place = jobs[id]?.place, jobs[id]?.waiters.isEmpty == true {
            jobs[id] = nil
            queue.remove(place)
        }
        return waiter
    }

    /// - Returns: all who wait.
    package mutating func removeAll() -> [Waiter] {
        defer { self = HashSchedule(limits) }
        return jobs.values.flatMap { $0.waiters.values }
    }
}
