public import Locks
internal import Synchronization

/// The activity of one user, or of several users together: running sessions, and payload so far. Any thread.
@usableFromInline
package final class UserActivity: Sendable {
    /// The bytes that one worker has relayed for them.
    @usableFromInline
    package final class Tally: Sendable {
        @usableFromInline let sent = Count()
        @usableFromInline let received = Count()
        /// The larger group's tally of the same worker.
        @usableFromInline let group: Tally?

        init(of group: Tally?) {
            self.group = group
        }

        /// Call it on the worker's thread only.
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
    /// Indexed by worker; `nil` until a worker has had a session of theirs.
    private let tallies = Guarded<[Tally?]>([])
    /// The activity of all users without metrics of their own.
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

    /// The tally in which a worker counts the bytes it relays for them.
    package func tally(ofWorker worker: Int) -> Tally {
        tallies.withLock { tallies in
            while tallies.count <= worker { tallies.append(nil) }
            if let tally = tallies[worker] { return tally }
            let tally = Tally(of: group?.tally(ofWorker: worker))
            tallies[worker] = tally
            return tally
        }
    }

    /// Running sessions with a request.
    package var sessions: Int { running.load(ordering: .relaxed) }

    /// The payload of all workers: client to target, and back.
    package var bytes: (sent: UInt64, received: UInt64) {
        tallies.withLock { tallies in
            tallies.reduce((0, 0)) { sum, tally in
                (sum.0 &+ (tally?.sent.value ?? 0), sum.1 &+ (tally?.received.value ?? 0))
            }
        }
    }
}
