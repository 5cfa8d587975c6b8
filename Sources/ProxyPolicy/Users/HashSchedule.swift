package import SOCKS5Protocol
internal import Tables

/// A password to be hashed and compared.
package struct HashWork: Sendable {
    /// Work with the same id has the same result.
    package let id: LoginDigest
    package let hash: PasswordHash
    package let password: Password
}

/// The most hashes that may wait to be computed.
package struct HashLimits {
    package var waiting: Int
    package var waitingPerSource: Int

    package init(waiting: Int = 256, waitingPerSource: Int = 64) {
        self.waiting = waiting
        self.waitingPerSource = waitingPerSource
    }
}

/// Decides which hash is computed next, and keeps its waiters.
///
/// Sources take turns (``FairQueue``), so that a flood from one of them delays only its own logins. If the same login
/// comes several times, as from a browser that opens many connections, it is computed once. Pure.
package struct HashSchedule<Waiter> {
    private typealias Queue = FairQueue<ClientSource, LoginDigest>

    private struct Job {
        let work: HashWork
        /// `nil` while it is being computed.
        var place: Queue.Place?
        var waiters: [UInt64: Waiter]
    }

    private let limits: HashLimits
    /// Both waiting and running jobs.
    private var jobs: [LoginDigest: Job] = [:]
    private var queue: Queue

    package init(_ limits: HashLimits) {
        self.limits = limits
        queue = Queue(limit: limits.waiting, limitPerSource: limits.waitingPerSource)
    }

    /// Hashes that wait to be computed.
    package var waiting: Int { queue.count }

    /// - Parameter number: identifies the waiter for ``cancel(_:_:)``.
    /// - Returns: false if too many wait already.
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

    /// - Returns: the waiters for the result, in the order in which they came.
    package mutating func next() -> HashWork? {
        guard let id = queue.takeNext()?.value else { return nil }
        jobs[id]?.place = nil
        return jobs[id]?.work
    }

    /// A hash without waiters isn't computed, unless it is running already.
    package mutating func finish(_ id: LoginDigest) -> [Waiter] {
        let waiters = jobs.removeValue(forKey: id)?.waiters ?? [:]
        return waiters.sorted { $0.key < $1.key }.map(\.value)
    }

    /// - Returns: the waiter; `nil` if it had its result already.
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

    /// - Returns: all waiters.
    package mutating func removeAll() -> [Waiter] {
        defer { self = HashSchedule(limits) }
        return jobs.values.flatMap { $0.waiters.values }
    }
}
