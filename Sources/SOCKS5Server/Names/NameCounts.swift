internal import Locks

/// The counts of the ``NameTable``, for readers that must not wait for its lock. Written under that lock, read by any
/// thread.
final class NameCounts: Sendable {
    /// Names answered from the cache.
    let hits = Count()
    /// Names looked up, or to be looked up.
    let misses = Count()
    /// Of these, refused because too many names were waiting.
    let refusals = Count()
    let running = Gauge()
    let waiting = Gauge()
}
