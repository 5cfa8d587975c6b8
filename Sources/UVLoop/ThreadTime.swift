internal import CUV
internal import Glibc
internal import Synchronization

/// The processor time of one thread, readable on any thread, also after it has ended (pthread_getcpuclockid(3)).
package final class ThreadTime: Sendable {
    private static let none = Int(Int32.max)

    /// The thread's clock while it runs.
    private let clock = Atomic<Int>(ThreadTime.none)
    private let last = Atomic<UInt64>(0)

    package init() {}

    /// Measures the calling thread from now on.
    package func begin() {
        var id = clockid_t()
        if pthread_getcpuclockid(pthread_self(), &id) == 0 { clock.store(Int(id), ordering: .relaxed) }
    }

    /// The calling thread, which called ``begin()``, is about to end.
    package func end() {
        last.store(Self.nanoseconds(of: CLOCK_THREAD_CPUTIME_ID) ?? 0, ordering: .relaxed)
        clock.store(Self.none, ordering: .releasing)
    }

    package var seconds: Double { Double(nanoseconds) / 1e9 }

    private var nanoseconds: UInt64 {
        let clock = clock.load(ordering: .acquiring)
        let running = clock == Self.none ? nil : Self.nanoseconds(of: clockid_t(clock))
        return running ?? last.load(ordering: .relaxed)
    }

    private static func nanoseconds(of clock: clockid_t) -> UInt64? {
        var time = timespec()
        guard clock_gettime(clock, &time) == 0 else { return nil }
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
