internal import ProxyPolicy
internal import Synchronization
internal import UVLoop

extension HashSchedule: WorkQueue {}

/// Computes password hashes outside the worker threads: a few at once, at low priority.
///
/// It doesn't use libuv's pool, because names would wait behind hashes there, and because a thread that has lowered its
/// priority needs a privilege to raise it again.
final class HashThreads: Sendable {
    private typealias Waiter = CheckedContinuation<Bool?, Never>

    private let threads: SpareThreads<HashSchedule<Waiter>>
    private let numbers = Atomic<UInt64>(0)

    /// - Parameter maximum: hashes at once; if `nil`, half of the cores, so that the other half is left to the workers.
    init(maximum: Int? = nil, _ limits: HashLimits = HashLimits()) {
        threads = SpareThreads(
            HashSchedule(limits),
            named: "socks5d-hash",
            atMost: maximum ?? max(1, LoopThread.availableCores / 2),
            atLowPriority: true
        )
    }

    /// Hashes that wait to be computed.
    var waiting: Int { threads.withQueue { $0.waiting } }

    /// Whether hash and password match. `nil` if that wasn't checked: too many are waiting, the task was cancelled, or
    /// memory is short.
    func compute(_ work: HashWork, for source: ClientSource) async -> Bool? {
        let number = numbers.add(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                guard !Task.isCancelled, threads.withQueue({ $0.add(work, for: source, number, waiter) })
                else {
                    return waiter.resume(returning: nil)
                }
                let stranded = threads.startIfNeeded { [self] in computeAll() }
                for waiter in stranded { waiter.resume(returning: nil) }
            }
        } onCancel: {
            threads.withQueue { $0.cancel(work.id, number) }?.resume(returning: nil)
        }
    }

    private func computeAll() {
        let scratch = PasswordHash.Scratch()
        while let work = threads.takeNext() {
            let result = work.password.withBytes { work.hash.matches($0, scratch) }
            for waiter in threads.withQueue({ $0.finish(work.id) }) { waiter.resume(returning: result) }
        }
    }
}
