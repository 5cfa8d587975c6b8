internal import Locks
internal import UVLoop

/// What threads take their work from.
protocol WorkQueue {
    associatedtype Work: Sendable
    associatedtype Waiter

    /// Pieces of work that nobody has taken.
    var waiting: Int { get }
    mutating func next() -> Work?
    /// - Returns: all who wait for results.
    mutating func removeAll() -> [Waiter]
}

/// Threads beside the workers, for work that may take its time: there are some as long as any waits.
///
/// A thread ends when there is nothing left to do, which costs some 50 µs where a piece of work costs more, and leaves nothing to
/// stop.
final class SpareThreads<Queue: WorkQueue>: Sendable where Queue.Waiter: Sendable {
    private struct State {
        var queue: Queue
        var running = 0
    }

    private let state: Guarded<State>
    private let name: String
    private let maximum: Int
    private let isOfLowPriority: Bool

    /// - Parameters:
    ///   - name: of each thread.
    ///   - maximum: threads at once.
    init(
        _ queue: sending Queue,
        named name: String,
        atMost maximum: Int,
        atLowPriority isOfLowPriority: Bool = false
    ) {
        state = Guarded(State(queue: queue))
        self.name = name
        self.maximum = maximum
        self.isOfLowPriority = isOfLowPriority
    }

    func withQueue<Result>(_ body: (inout Queue) -> sending Result) -> sending Result {
        state.withLock { body(&$0.queue) }
    }

    /// Starts one more thread, if work waits and there may be one.
    ///
    /// - Parameter run: what the thread does: it calls ``takeNext()`` until there is nothing.
    /// - Returns: those who would wait for ever, since there is no thread at all. They wait no longer.
    func startIfNeeded(_ run: @escaping @Sendable () -> Void) -> [Queue.Waiter] {
        let isNeeded = state.withLock { state in
            guard state.running < maximum, state.queue.waiting > 0 else { return false }
            state.running += 1
            return true
        }
        guard isNeeded else { return [] }
        do {
            try LoopThread.start(named: name, atLowPriority: isOfLowPriority, run)
            return []
        } catch {
            return state.withLock { state in
                state.running -= 1
                return state.running == 0 ? state.queue.removeAll() : []
            }
        }
    }

    /// For a thread. `nil` is its end.
    func takeNext() -> Queue.Work? {
        state.withLock { state in
            let work = state.queue.next()
            if work == nil { state.running -= 1 }
            return work
        }
    }
}
