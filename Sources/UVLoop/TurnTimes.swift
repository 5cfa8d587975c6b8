internal import CUV
internal import Locks

/// How long the callbacks of a loop's turns took, in milliseconds. During a long turn all streams of the loop wait.
///
/// Reads no clock of its own: libuv reads it after it has waited, and before it waits again. Any thread.
package final class TurnTimes: Sendable {
    // Guarded only for the compiler; the loop counts without the lock, by atomics.
    private let turns: Guarded<OpaquePointer>

    package init() {
        guard let turns = cuv_turns_create() else { fatalError("out of memory") }
        self.turns = Guarded(turns)
    }

    deinit {
        turns.withLock { cuv_turns_free($0) }
    }

    /// The upper bounds of the buckets, in milliseconds, ascending; one further bucket has no bound.
    package static let bounds = (0..<UInt32(CUV_TURN_BOUNDS)).map { cuv_turns_bound($0) }

    /// The number of turns per bucket.
    package var counts: [UInt64] {
        turns.withLock { turns in (0...UInt32(CUV_TURN_BOUNDS)).map { cuv_turns_count(turns, $0) } }
    }

    /// The milliseconds of all turns together.
    package var milliseconds: UInt64 { turns.withLock { cuv_turns_milliseconds($0) } }

    /// For one loop, which must not outlive this object.
    var forLoop: OpaquePointer {
        let address = turns.withLock { UInt(bitPattern: $0) }
        guard let turns = OpaquePointer(bitPattern: address) else { preconditionFailure("memory at 0") }
        return turns
    }
}
