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
/// Sources take turns, so that a flood from one of them delays its own logins; and neither a source nor all of
/// them may have more than so many waiting, since what waits longer comes too late. The same login asked for
/// several times, as by a browser that opens many connections, is computed once. Pure.
package struct HashSchedule<Waiter> {
    private struct Job {
        let work: HashWork
        let source: ClientSource
        var waiters: [(number: UInt64, waiter: Waiter)]
    }

    private let limits: HashLimits
    /// Those that wait and those that run.
    private var jobs: [LoginDigest: Job] = [:]
    /// Those that wait, the oldest first; no source without any.
    private var lines: [ClientSource: [LoginDigest]] = [:]
    /// The sources with a line, the next one first.
    private var turns: [ClientSource] = []
    package private(set) var waiting = 0

    package init(_ limits: HashLimits) {
        self.limits = limits
    }

    /// - Parameter number: names the waiter, for ``cancel(_:_:)``.
    /// - Returns: false where too many wait already.
    package mutating func add(_ work: HashWork, for source: ClientSource, _ number: UInt64, _ waiter: Waiter)
        -> Bool
    {
        if jobs[work.id] != nil {
            jobs[work.id]?.waiters.append((number, waiter))
            return true
        }
        let line = lines[source, default: []]
        guard waiting < limits.waiting, line.count < limits.waitingPerSource else { return false }
        if line.isEmpty { turns.append(source) }
        lines[source] = line + [work.id]
        jobs[work.id] = Job(work: work, source: source, waiters: [(number, waiter)])
        waiting += 1
        return true
    }

    /// Takes what is to be computed now; ``finish(_:)`` ends it.
    package mutating func next() -> HashWork? {
        guard let source = turns.first, let id = lines[source]?.first else { return nil }
        leaveLine(id, of: source)
        turns.removeFirst()
        if lines[source] != nil { turns.append(source) }
        return jobs[id]?.work
    }

    /// - Returns: those who wait for the result.
    package mutating func finish(_ id: LoginDigest) -> [Waiter] {
        jobs.removeValue(forKey: id)?.waiters.map(\.waiter) ?? []
    }

    /// What nobody waits for any longer isn't computed, unless it is under way.
    ///
    /// - Returns: the waiter, unless it had its result already.
    package mutating func cancel(_ id: LoginDigest, _ number: UInt64) -> Waiter? {
        guard let job = jobs[id], let index = job.waiters.firstIndex(where: { $0.number == number }) else {
            return nil
        }
        jobs[id]?.waiters.remove(at: index)
        if job.waiters.count == 1, lines[job.source]?.contains(id) == true {
            jobs[id] = nil
            leaveLine(id, of: job.source)
            if lines[job.source] == nil { turns.removeAll { $0 == job.source } }
        }
        return job.waiters[index].waiter
    }

    /// - Returns: all who wait.
    package mutating func removeAll() -> [Waiter] {
        defer { self = HashSchedule(limits) }
        return jobs.values.flatMap { $0.waiters.map(\.waiter) }
    }

    private mutating func leaveLine(_ id: LoginDigest, of source: ClientSource) {
        lines[source]?.removeAll { $0 == id }
        if lines[source]?.isEmpty == true { lines[source] = nil }
        waiting -= 1
    }
}
