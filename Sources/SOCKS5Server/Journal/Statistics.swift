internal import ProxyPolicy
internal import SOCKS5Protocol

/// What a ``ProxyServer`` has counted since its start, over all workers.
///
/// The numbers are read one after the other while the workers go on: each is right, their sum may be of
/// slightly different moments.
public struct Statistics: Sendable {
    /// Connections accepted as sessions.
    public internal(set) var accepted = 0
    /// Sessions that have not ended yet.
    public internal(set) var active = 0
    /// Connections closed at once, since there were ``Configuration/maxConnections`` already, all with a request.
    public internal(set) var refusedAtLimit = 0
    /// Sessions that were ended before their request, the oldest first, since there were
    /// ``Configuration/maxConnections`` and a new client came.
    public internal(set) var displacedHandshakes = 0
    /// Connections closed at once, since their source is banned by ``Configuration/loginBan``.
    public internal(set) var refusedAsBanned = 0
    /// Logins with a wrong user or password (RFC 1929).
    public internal(set) var failedLogins = 0
    /// Logins refused without a look at them, since too many waited, or ``LoginVerdict/unavailable``.
    public internal(set) var uncheckedLogins = 0
    /// Sessions that missed one of ``Configuration/Timeouts``.
    public internal(set) var timedOut = 0
    /// Sessions that have ended since a quota was used up, see ``Configuration/UserLimits/quota``.
    public internal(set) var endedByQuota = 0
    /// Payload of sessions that have ended.
    public internal(set) var bytesClientToTarget: UInt64 = 0
    public internal(set) var bytesTargetToClient: UInt64 = 0
    /// UDP associations that were granted.
    public internal(set) var associations = 0
    /// Datagrams that were relayed.
    public internal(set) var datagramsClientToTarget: UInt64 = 0
    public internal(set) var datagramsTargetToClient: UInt64 = 0
    private var drops = [UInt64](repeating: 0, count: DatagramDrop.allCases.count)
    private var refusals = [Int](repeating: 0, count: LimitRefusal.allCases.count)
    private var replies = [Int](repeating: 0, count: Reply.allCases.count)

    /// How often a reply was given: its code is that of RFC 1928 section 6, `00` to `08`.
    public func replies(_ code: UInt8) -> Int {
        replies.indices.contains(Int(code)) ? replies[Int(code)] : 0
    }

    /// Datagrams that weren't relayed.
    public func datagramsDropped(_ cause: DatagramDrop) -> UInt64 { drops[cause.rawValue] }

    /// Connections closed at once, and requests answered 02, by one of ``Configuration/Limits``.
    public func refusals(_ limit: LimitRefusal) -> Int { refusals[limit.rawValue] }

    init(_ counters: [Counters]) {
        // First: then there are never more that have ended. A session may end at another worker than the one that has
        // accepted it.
        let ended = counters.reduce(0) { $0 + Int($1.ended.published) }
        defer { active = accepted - ended }
        for counters in counters {
            accepted += Int(counters.accepted.current)
            refusedAtLimit += Int(counters.refusedAtLimit.current)
            displacedHandshakes += Int(counters.displacedHandshakes.current)
            refusedAsBanned += Int(counters.refusedAsBanned.current)
            failedLogins += Int(counters.failedLogins.current)
            uncheckedLogins += Int(counters.uncheckedLogins.current)
            timedOut += Int(counters.timedOut.current)
            endedByQuota += Int(counters.endedByQuota.current)
            bytesClientToTarget += counters.bytesClientToTarget.current
            bytesTargetToClient += counters.bytesTargetToClient.current
            associations += Int(counters.associations.current)
            datagramsClientToTarget += counters.datagramsClientToTarget.current
            datagramsTargetToClient += counters.datagramsTargetToClient.current
            for cause in DatagramDrop.allCases { drops[cause.rawValue] += counters.drops(cause) }
            for limit in LimitRefusal.allCases { refusals[limit.rawValue] += Int(counters.refusals(limit)) }
            for reply in Reply.allCases {
                replies[Int(reply.rawValue)] += Int(counters.replies(reply))
            }
        }
    }
}
