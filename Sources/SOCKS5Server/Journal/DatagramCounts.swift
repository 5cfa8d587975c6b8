/// The datagrams of one association, or of all associations of a session.
public struct DatagramCounts: Sendable {
    public internal(set) var clientToTarget: UInt64 = 0
    public internal(set) var targetToClient: UInt64 = 0
    /// By ``DatagramDrop``; empty until a datagram is dropped.
    private var drops: [UInt32] = []

    init() {}

    /// Datagrams that weren't relayed for this reason.
    public subscript(drop: DatagramDrop) -> UInt64 {
        drops.isEmpty ? 0 : UInt64(drops[drop.rawValue])
    }

    /// Datagrams that weren't relayed.
    public var dropped: UInt64 { drops.reduce(0) { $0 + UInt64($1) } }

    mutating func count(_ drop: DatagramDrop) {
        if drops.isEmpty { drops = [UInt32](repeating: 0, count: DatagramDrop.allCases.count) }
        drops[drop.rawValue] &+= 1
    }
}

extension DatagramDrop {
    /// The word in logs and metrics.
    public var word: String {
        switch self {
        case .foreign, .malformed, .fragment, .denied, .unreachable, .unsolicited, .unprotected: "\(self)"
        case .nameNotFound: "name_not_found"
        case .queueFull: "queue_full"
        case .noWay: "no_way"
        case .tooLong: "too_long"
        case .overBandwidth: "over_bandwidth"
        }
    }
}
