internal import Locks
internal import ProxyPolicy
internal import Synchronization
internal import UVLoop

/// Computes password hashes beside the workers: a few at once, at low priority.
///
/// Not in libuv's pool: that is for names, which would wait behind hashes, and a thread that has lowered its
/// priority needs a privilege to raise it again. A thread ends when there is nothing left to compute, which
/// costs some 50 µs where a hash costs milliseconds, and leaves nothing to stop.
final class HashThreads: Sendable {
    private typealias Waiter = CheckedContinuation<Bool?, Never>

    private struct State {
        var schedule: HashSchedule<Waiter>
        var running = 0
    }

    private let state: Guarded<State>
    private let maximum: Int
    private let numbers = Atomic<UInt64>(0)

    /// - Parameter maximum: hashes at once; `nil`: half of the cores, so that the workers keep the others.
    init(maximum: Int? = nil, _ limits: HashLimits = HashLimits()) {
        self.maximum = maximum ?? max(1, LoopThread.availableCores / 2)
        state = Guarded(State(schedule: HashSchedule(limits)))
    }

    /// Hashes that wait to be computed.
    var waiting: Int { state.withLock { $0.schedule.waiting } }

    /// Whether hash and password belong together. `nil`: nobody has looked, since too many wait, the task was
    /// cancelled, or memory is short.
    func compute(_ work: HashWork, for source: ClientSource) async -> Bool? {
        let number = numbers.add(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                guard !Task.isCancelled, add(work, for: source, number, waiter) else {
                    return waiter.resume(returning: nil)
                }
                startThreadIfNeeded()
            }
        } onCancel: {
            state.withLock { $0.schedule.cancel(work.id, number) }?.resume(returning: nil)
        }
    }

    private func add(_ work: HashWork, for source: ClientSource, _ number: UInt64, _ waiter: Waiter) -> Bool {
        state.withLock { $0.schedule.add(work, for: source, number, waiter) }
    }

    private func startThreadIfNeeded() {
        let isNeeded = state.withLock { state in
            guard state.running < maximum, state.schedule.waiting > 0 else { return false }
            state.running += 1
            return true
        }
        guard isNeeded else { return }
        do {
            try LoopThread.start(named: "socks5d-hash", atLowPriority: true) { [self] in computeAll() }
        } catch {
            // Without any thread, those that wait would wait for ever.
            let stranded = state.withLock { state in
                state.running -= 1
                return state.running == 0 ? state.schedule.removeAll() : []
            }
            for waiter in stranded { waiter.resume(returning: nil) }
        }
    }

    private func computeAll() {
        let scratch = PasswordHash.Scratch()
        while let work = takeNext() {
            let result = work.password.withBytes { work.hash.matches($0, scratch) }
            for waiter in state.withLock({ $0.schedule.finish(work.id) }) { waiter.resume(returning: result) }
        }
    }

    /// `nil` is the end of the thread.
    private func takeNext() -> HashWork? {
        state.withLock { state in
            let work = state.schedule.next()
            if work == nil { state.running -= 1 }
            return work
        }
    }
}
