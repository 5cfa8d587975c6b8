public import Locks
internal import Synchronization

/// What one user does, or several users together: sessions that run, and payload so far. Any thread.
@usableFromInline
package final class UserActivity: Sendable {
    /// What one worker has relayed for them.
    @usableFromInline
    package final class Tally: Sendable {
        @usableFromInline let sent = Count()
        @usableFromInline let received = Count()
        /// Of a larger group, by the same worker.
        @usableFromInline let group: Tally?

        init(of group: Tally?) {
            self.group = group
        }

        /// The worker's thread alone.
        @inlinable
        package func add(_ bytes: UInt64, _ direction: Direction) {
            switch direction {
            case .clientToTarget: sent.add(bytes)
            case .targetToClient: received.add(bytes)
            }
            group?.add(bytes, direction)
        }
    }

    private let running = Atomic<Int>(0)
    /// By worker, as far as one has had a session of theirs.
    private let tallies = Guarded<[Tally?]>([])
    /// Those who have no numbers of their own in metrics.
    private let group: UserActivity?

    init(in group: UserActivity? = nil) {
        self.group = group
    }

    func enter() {
        running.wrappingAdd(1, ordering: .relaxed)
        group?.enter()
    }

    func leave() {
        running.wrappingSubtract(1, ordering: .relaxed)
        group?.leave()
    }

    /// Where a worker counts what it relays for them.
    package func tally(ofWorker worker: Int) -> Tally {
        tallies.withLock { tallies in
            while tallies.count <= worker { tallies.append(nil) }
            if let tally = tallies[worker] { return tally }
            let tally = Tally(of: group?.tally(ofWorker: worker))
            tallies[worker] = tally
            return tally
        }
    }

    /// Sessions with a request that run.
    package var sessions: Int { running.load(ordering: .relaxed) }

    /// Payload of all workers: client to target, and back.
    package var bytes: (sent: UInt64, received: UInt64) {
        tallies.withLock { tallies in
            tallies.reduce((0, 0)) { sum, tally in
                (sum.0 &+ (tally?.sent.value ?? 0), sum.1 &+ (tally?.received.value ?? 0))
            }
        }
    }
}
