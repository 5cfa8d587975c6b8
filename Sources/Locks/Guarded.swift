public import Glibc

/// A value that several threads use, one at a time.
///
/// `@unchecked`, since the mutex guards all that is mutable here. This is the only such place in the package. It is a
/// pthread mutex, because ThreadSanitizer doesn't see `Synchronization.Mutex` on Linux and reports false races.
@usableFromInline
package final class Guarded<Value>: @unchecked Sendable {  // the mailbox is made of it
    @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
    @usableFromInline var value: Value

    package init(_ value: sending Value) {
        self.value = value
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
    }

    /// Runs `body` while no other thread can. `body` must not use this object again.
    @inlinable
    package func withLock<Result, Failure: Error>(
        _ body: (inout Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }
}
