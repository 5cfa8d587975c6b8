internal import Locks
internal import Synchronization
internal import UVLoop

/// Lets contexts of GSSAPI take their tokens beside the workers, since that may block: Kerberos reads files, and locks its
/// replay cache.
///
/// In the manner of ``HashThreads``: a thread ends when nothing is left to do, so that there is nothing to stop.
final class ContextThreads: Sendable {
    private struct Work: Sendable {
        let number: UInt64
        let context: any SecurityContext
        let token: [UInt8]
        let waiter: CheckedContinuation<ContextProgress, Never>
    }

    private struct State {
        var waiting: [Work] = []
        var running = 0
    }

    private let state = Guarded(State())
    private let numbers = Atomic<UInt64>(0)

    /// Kerberos needs some 0.1 ms for a token, so these are many logins a second, even where some of them hang.
    private static let mostThreads = 8
    /// Each has a token, of up to 64 KiB.
    private static let mostWaiting = 256

    /// What the context says to the token; ``ContextProgress/unavailable`` where too many wait, or the task was cancelled.
    func take(_ token: [UInt8], by context: any SecurityContext) async -> ContextProgress {
        let number = numbers.add(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let work = Work(number: number, context: context, token: token, waiter: waiter)
                guard !Task.isCancelled, add(work) else { return waiter.resume(returning: .unavailable) }
                startThreadIfNeeded()
            }
        } onCancel: {
            remove(number)?.waiter.resume(returning: .unavailable)
        }
    }

    private func add(_ work: Work) -> Bool {
        state.withLock { state in
            guard state.waiting.count < Self.mostWaiting else { return false }
            state.waiting.append(work)
            return true
        }
    }

    /// `nil`: it has begun.
    private func remove(_ number: UInt64) -> Work? {
        state.withLock { state in
            state.waiting.firstIndex { $0.number == number }.map { state.waiting.remove(at: $0) }
        }
    }

    private func startThreadIfNeeded() {
        let isNeeded = state.withLock { state in
            guard state.running < Self.mostThreads, !state.waiting.isEmpty else { return false }
            state.running += 1
            return true
        }
        guard isNeeded else { return }
        do {
            try LoopThread.start(named: "socks5d-gssapi") { [self] in takeAll() }
        } catch {
            // Without any thread, those that wait would wait for ever.
            let stranded = state.withLock { state -> [Work] in
                state.running -= 1
                guard state.running == 0 else { return [] }
                defer { state.waiting = [] }
                return state.waiting
            }
            for work in stranded { work.waiter.resume(returning: .unavailable) }
        }
    }

    private func takeAll() {
        while let work = takeNext() { work.waiter.resume(returning: work.context.take(work.token)) }
    }

    /// `nil` is the end of the thread.
    private func takeNext() -> Work? {
        state.withLock { state in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.running -= 1
            return nil
        }
    }
}
