internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Synchronization

/// What one worker has counted since its start.
///
/// Written by the worker's thread alone, read by any: loads and stores, no read-modify-write.
final class Counters: Sendable {
    private struct Count: ~Copyable, Sendable {
        let value = Atomic<UInt64>(0)
    }

    /// By ``Counter``.
    private let counts = InlineArray<14, Count> { _ in Count() }
    /// By ``DatagramDrop``.
    private let drops = InlineArray<10, Count> { _ in Count() }
    /// By ``LimitRefusal``.
    private let refusals = InlineArray<5, Count> { _ in Count() }
    /// By the REP field.
    private let replies = InlineArray<9, Count> { _ in Count() }
    /// Sessions that have not sent their whole request; not a count of what has happened.
    private let openHandshakes = Atomic<Int>(0)

    // MARK: - The worker's thread

    func add(_ counter: Counter, _ amount: UInt64 = 1) { Self.add(amount, to: counts[counter.rawValue]) }
    func add(_ drop: DatagramDrop) { Self.add(1, to: drops[drop.rawValue]) }
    func add(_ refusal: LimitRefusal) { Self.add(1, to: refusals[refusal.rawValue]) }
    func add(_ reply: Reply) { Self.add(1, to: replies[Int(reply.rawValue)]) }

    /// A session has ended. Whoever sees that sees at least what was counted before.
    func publishEnd() {
        let ended = self[.ended]
        counts[Counter.ended.rawValue].value.store(ended &+ 1, ordering: .releasing)
    }

    func handshakeDidBegin() { openHandshakes.store(handshakes &+ 1, ordering: .relaxed) }
    func handshakeDidEnd() { openHandshakes.store(handshakes &- 1, ordering: .relaxed) }

    private static func add(_ amount: UInt64, to count: borrowing Count) {
        count.value.store(count.value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    // MARK: - Any thread

    subscript(counter: Counter) -> UInt64 { counts[counter.rawValue].value.load(ordering: .relaxed) }
    subscript(drop: DatagramDrop) -> UInt64 { drops[drop.rawValue].value.load(ordering: .relaxed) }
    subscript(refusal: LimitRefusal) -> UInt64 { refusals[refusal.rawValue].value.load(ordering: .relaxed) }
    subscript(reply: Reply) -> UInt64 { replies[Int(reply.rawValue)].value.load(ordering: .relaxed) }

    /// Read before ``Counter/accepted``, it is never larger.
    var publishedEnds: UInt64 { counts[Counter.ended.rawValue].value.load(ordering: .acquiring) }

    var handshakes: Int { openHandshakes.load(ordering: .relaxed) }
}
