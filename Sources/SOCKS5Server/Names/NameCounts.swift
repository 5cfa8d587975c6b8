internal import Locks

/// What the ``NameTable`` counts, for those who must not wait for its lock. Written under that lock, read by any thread.
final class NameCounts: Sendable {
    /// Answered from the cache.
    let hits = Count()
    /// Looked up, or to be looked up.
    let misses = Count()
    /// Of these, refused since too many names wait.
    let refusals = Count()
    let running = Gauge()
    let waiting = Gauge()
}
