internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Synchronization

/// What one worker has counted since its start.
///
/// Written by the worker's thread alone, read by any: loads and stores, no read-modify-write.
final class Counters: Sendable {
    struct Count: ~Copyable, Sendable {
        private let value = Atomic<UInt64>(0)

        var current: UInt64 { value.load(ordering: .relaxed) }

        /// The worker's thread only.
        borrowing func add(_ amount: UInt64 = 1) {
            value.store(current &+ amount, ordering: .relaxed)
        }

        /// As ``add(_:)`` of 1; whoever then reads ``published`` sees at least what was counted before, of all counts.
        borrowing func publish() {
            value.store(current &+ 1, ordering: .releasing)
        }

        var published: UInt64 { value.load(ordering: .acquiring) }

        /// Takes back an ``add(_:)`` of 1.
        borrowing func remove() {
            value.store(current &- 1, ordering: .relaxed)
        }
    }

    let accepted = Count()
    /// Published: a session that is known to have ended is known to have been accepted.
    let ended = Count()
    /// Sessions that have not sent their whole request.
    let handshakes = Count()
    let refusedAtLimit = Count()
    let displacedHandshakes = Count()
    let refusedAsBanned = Count()
    let failedLogins = Count()
    let uncheckedLogins = Count()
    let timedOut = Count()
    let endedByQuota = Count()
    let bytesClientToTarget = Count()
    let bytesTargetToClient = Count()
    let associations = Count()
    let datagramsClientToTarget = Count()
    let datagramsTargetToClient = Count()
    /// By ``DatagramDrop``.
    private let drops = InlineArray<10, Count> { _ in Count() }
    /// By ``LimitRefusal``.
    private let refusals = InlineArray<5, Count> { _ in Count() }
    /// By the REP field.
    private let replies = InlineArray<9, Count> { _ in Count() }

    func countDrop(_ cause: DatagramDrop) {
        drops[cause.rawValue].add()
    }

    func drops(_ cause: DatagramDrop) -> UInt64 {
        drops[cause.rawValue].current
    }

    func countRefusal(_ limit: LimitRefusal) {
        refusals[limit.rawValue].add()
    }

    func refusals(_ limit: LimitRefusal) -> UInt64 {
        refusals[limit.rawValue].current
    }

    func countReply(_ reply: Reply) {
        replies[Int(reply.rawValue)].add()
    }

    func replies(_ reply: Reply) -> UInt64 {
        replies[Int(reply.rawValue)].current
    }
}
