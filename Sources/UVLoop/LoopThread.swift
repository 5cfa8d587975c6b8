internal import CUV
internal import Glibc

/// A separate thread, for a loop or for work that would block one.
package enum LoopThread {
    /// Runs `body` on a new detached thread that receives no signals.
    ///
    /// - Parameters:
    ///   - name: at most 15 bytes, as shown by ps(1) and top(1).
    ///   - atLowPriority: whether others take precedence when all cores are busy. This can't be undone: raising
    ///     the priority of a thread again needs a privilege.
    package static func start(
        named name: String,
        atLowPriority: Bool = false,
        _ body: @escaping @Sendable () -> Void
    ) throws(UVError) {
        let start = Unmanaged.passRetained(
            Start(name) {
                if atLowPriority { cuv_thread_lower_priority() }
                body()
            }
        )
        var thread = pthread_t()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        defer { pthread_attr_destroy(&attributes) }
        let error = pthread_create(&thread, &attributes, { Start.run($0) }, start.toOpaque())
        if error != 0 {
            start.release()
            throw UVError(code: -error)
        }
    }

    /// The current time in milliseconds of the loops' clock (``EventLoop/now``).
    package static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }

    /// The number of threads that can be started at once, up to `wanted`, and whether `spare` bytes of address space
    /// are left beside them. Found by trying.
    package static func startable(_ wanted: Int, spare: Int) -> (threads: Int, hasSpare: Bool) {
        var hasSpare = false
        let threads = cuv_threads_startable(UInt32(wanted), spare, &hasSpare)
        return (Int(threads), hasSpare)
    }

    /// The number of processors that this process may run on, at least 1 (sched_getaffinity(2)).
    package static var availableCores: Int { Int(cuv_available_cores()) }

    private final class Start: Sendable {
        private let name: String
        private let body: @Sendable () -> Void

        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }

        static func run(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
            guard let argument else { return nil }
            let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
            cuv_thread_prepare(start.name)
            start.body()
            return nil
        }
    }
}
