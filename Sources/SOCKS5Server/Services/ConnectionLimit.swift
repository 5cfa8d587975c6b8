internal import Glibc
internal import Synchronization

/// The limit of sessions at once, over all workers.
final class ConnectionLimit: Sendable {
    let maximum: Int
    private let current = Atomic<Int>(0)

    init(maximum: Int) {
        self.maximum = maximum
    }

    /// Takes a place.
    ///
    /// - Returns: false if all places are taken.
    func enter() -> Bool {
        var taken = current.load(ordering: .relaxed)
        while taken < maximum {
            // Adding first and taking back after would refuse others a place that is free.
            let change = current.weakCompareExchange(expected: taken, desired: taken + 1, ordering: .relaxed)
            if change.exchanged { return true }
            taken = change.original
        }
        return false
    }

    var isReached: Bool { current.load(ordering: .relaxed) >= maximum }

    func leave() {
        current.wrappingSubtract(1, ordering: .relaxed)
    }

    /// Raises the soft limit of descriptors to the hard one, and returns it.
    static func raiseDescriptorLimit() -> Int {
        let resource = __rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue))
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return 1024 }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max
            setrlimit(resource, &limit)
            getrlimit(resource, &limit)
        }
        return Int(min(limit.rlim_cur, 1 << 30))
    }

    /// The most sessions that the descriptor limit of the process allows, after raising the soft limit to the hard one.
    ///
    /// A session has two sockets; a UDP association takes another place for two more. Reserved are a few descriptors
    /// per loop, the listeners, the descriptors of lookups (128 at once, each with a socket or file, two for a moment),
    /// dials that try several addresses, pipes (streams can do without them), and some for the program around the
    /// server.
    static func allowedByDescriptors(workers: Int, listeners: Int) -> Int {
        let descriptors = raiseDescriptorLimit()
        let lookups = min(256, descriptors / 8)
        let racing = min(1024, descriptors / 16)
        let pipes = min(2 * PipePool.atMost * workers, descriptors / 16)
        let reserve = 32 + workers * (8 + listeners) + pipes + lookups + racing
        return max(1, (descriptors - reserve) / 2)
    }
}
