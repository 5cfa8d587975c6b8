internal import Locks
internal import UVLoop

/// A queue of work for threads.
protocol WorkQueue {
    associatedtype Work: Sendable
    associatedtype Waiter

    /// The number of pieces of work that haven't been taken.
    var waiting: Int { get }
    mutating func next() -> Work?
    /// - Returns: all waiters for results.
    mutating func removeAll() -> [Waiter]
}

/// Threads outside the workers, for work that may take time. They exist only while there is work.
///
/// A thread ends when no work is left. Starting one costs about 50 µs, less than a piece of work, and there is nothing
/// to stop at the end.
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
    ///   - name: the name of each thread.
    ///   - maximum: the most threads at once.
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

    /// Starts one more thread if work is waiting and the maximum allows it.
    ///
    /// - Parameter run: the thread's body: it calls ``takeNext()`` until that returns `nil`.
    /// - Returns: waiters that would wait for ever because no thread exists at all. They are removed from the queue.
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

    /// For a thread, which ends if this is `nil`.
    func takeNext() -> Queue.Work? {
        state.withLock { state in
            let work = state.queue.next()
            if work == nil { state.running -= 1 }
            return work
        }
    }
}
