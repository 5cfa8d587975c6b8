internal import Synchronization

/// Runs GSSAPI contexts outside the worker threads, because taking a token may block: Kerberos reads files, and locks
/// its replay cache.
final class ContextThreads: Sendable {
    private typealias Waiter = CheckedContinuation<ContextProgress, Never>

    private struct Queue: WorkQueue {
        struct Work: Sendable {
            let number: UInt64
            let context: any SecurityContext
            let token: [UInt8]
            let waiter: Waiter
        }

        private var works: [Work] = []

        var waiting: Int { works.count }

        /// - Returns: false if too many wait already.
        mutating func add(_ work: Work) -> Bool {
            guard works.count < ContextThreads.mostWaiting else { return false }
            works.append(work)
            return true
        }

        /// `nil` if it has begun.
        mutating func remove(_ number: UInt64) -> Waiter? {
            works.firstIndex { $0.number == number }.map { works.remove(at: $0).waiter }
        }

        mutating func next() -> Work? { works.isEmpty ? nil : works.removeFirst() }

        mutating func removeAll() -> [Waiter] {
            defer { works = [] }
            return works.map(\.waiter)
        }
    }

    private let threads = SpareThreads(Queue(), named: "socks5d-gssapi", atMost: mostThreads)
    private let numbers = Atomic<UInt64>(0)

    /// Kerberos needs about 0.1 ms per token, so these threads handle many logins per second, even if some of them
    /// hang.
    private static let mostThreads = 8
    /// Each holds a token of up to 64 KiB.
    private static let mostWaiting = 256

    /// The context's answer to the token; ``ContextProgress/unavailable`` if too many wait, or if the task was
    /// cancelled.
    func take(_ token: [UInt8], by context: any SecurityContext) async -> ContextProgress {
        let number = numbers.add(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let work = Queue.Work(number: number, context: context, token: token, waiter: waiter)
                guard !Task.isCancelled, threads.withQueue({ $0.add(work) }) else {
                    return waiter.resume(returning: .unavailable)
                }
                let stranded = threads.startIfNeeded { [self] in takeAll() }
                for waiter in stranded { waiter.resume(returning: .unavailable) }
            }
        } onCancel: {
            threads.withQueue { $0.remove(number) }?.resume(returning: .unavailable)
        }
    }

    private func takeAll() {
        while let work = threads.takeNext() { work.waiter.resume(returning: work.context.take(work.token)) }
    }
}
