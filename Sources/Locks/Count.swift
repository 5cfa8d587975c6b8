public import Synchronization

/// A number that one thread increments and any thread reads. It uses loads and stores without a read-modify-write, so
/// that no two threads wait for each other.
@usableFromInline
package struct Count: ~Copyable, Sendable {
    @usableFromInline let number = Atomic<UInt64>(0)

    @inlinable
    package init() {}

    /// Call it on one thread only.
    @inlinable
    package func add(_ amount: UInt64 = 1) {
        number.store(number.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    /// As ``add(_:)``. A thread that reads the result by ``published`` also sees everything this thread has counted
    /// before.
    @inlinable
    package func publish() {
        number.store(number.load(ordering: .relaxed) &+ 1, ordering: .releasing)
    }

    /// Any thread.
    @inlinable
    package var value: UInt64 { number.load(ordering: .relaxed) }

    /// Any thread.
    @inlinable
    package var published: UInt64 { number.load(ordering: .acquiring) }
}

/// A number that one thread at a time sets, and that any thread reads.
package struct Gauge: ~Copyable, Sendable {
    private let number = Atomic<Int>(0)

    package init() {}

    package func set(_ value: Int) { number.store(value, ordering: .relaxed) }
    package func add(_ amount: Int) { set(value &+ amount) }

    package var value: Int { number.load(ordering: .relaxed) }
}
