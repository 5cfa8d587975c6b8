public import ProxyPolicy
public import SOCKS5Protocol

/// The counts of a ``ProxyServer`` since its start, over all workers.
///
/// The numbers are read one after the other while the workers run: each is correct, but they may be from
/// slightly different moments.
public struct Statistics: Sendable {
    private var counts = [UInt64](repeating: 0, count: Counter.allCases.count)
    private var drops = [UInt64](repeating: 0, count: DatagramDrop.allCases.count)
    private var refusals = [UInt64](repeating: 0, count: LimitRefusal.allCases.count)
    private var replies = [UInt64](repeating: 0, count: Reply.allCases.count)

    public subscript(counter: Counter) -> Int { Int(counts[counter.rawValue]) }

    /// Sessions that have not ended yet.
    public var active: Int { self[.accepted] - self[.ended] }

    /// How often a reply was sent.
    public func replies(_ reply: Reply) -> Int { Int(replies[Int(reply.rawValue)]) }

    /// Datagrams that weren't relayed.
    public func datagramsDropped(_ cause: DatagramDrop) -> Int { Int(drops[cause.rawValue]) }

    /// Connections closed at once and requests refused with reply 2 because of one of ``ProxyLimits``.
    public func refusals(_ limit: LimitRefusal) -> Int { Int(refusals[limit.rawValue]) }

    init(_ workers: [Counters]) {
        // Read first, so that never more sessions have ended than were accepted. A session may end at another
        // worker than the one that has accepted it.
        let ended = workers.reduce(0) { $0 + $1.publishedEnds }
        for counters in workers {
            for counter in Counter.allCases { counts[counter.rawValue] += counters[counter] }
            for drop in DatagramDrop.allCases { drops[drop.rawValue] += counters[drop] }
            for limit in LimitRefusal.allCases { refusals[limit.rawValue] += counters[limit] }
            for reply in Reply.allCases { replies[Int(reply.rawValue)] += counters.sum(of: reply) }
        }
        counts[Counter.ended.rawValue] = ended
        counts[Counter.bytesClientToTarget.rawValue] += counts[Counter.datagramBytesClientToTarget.rawValue]
        counts[Counter.bytesTargetToClient.rawValue] += counts[Counter.datagramBytesTargetToClient.rawValue]
    }
}
