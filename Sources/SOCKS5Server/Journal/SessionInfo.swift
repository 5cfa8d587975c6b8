internal import ProxyPolicy
public import SOCKS5Protocol
package import Text
internal import UVLoop

/// One session, as it was at one moment. Cheap to pass on; values are computed only when they are read.
public struct SessionInfo: Sendable {
    private final class Snapshot: Sendable {
        let record: SessionRecord
        let traffic: SessionTraffic
        let moment: Timestamp
        let milliseconds: UInt64

        init(
            _ record: SessionRecord,
            _ traffic: SessionTraffic,
            _ moment: Timestamp,
            _ milliseconds: UInt64
        ) {
            self.record = record
            self.traffic = traffic
            self.moment = moment
            self.milliseconds = milliseconds
        }
    }

    private let snapshot: Snapshot

    /// - Parameters:
    ///   - now: milliseconds on the loop's clock.
    ///   - moment: the same moment on the system's clock.
    init(
        _ record: SessionRecord,
        _ traffic: SessionTraffic = SessionTraffic(),
        now: UInt64,
        _ moment: Timestamp = .now()
    ) {
        let milliseconds = now.since(record.began)
        snapshot = Snapshot(record, traffic, moment, milliseconds)
    }

    var record: SessionRecord { snapshot.record }

    /// The moment that this describes.
    package var moment: Timestamp { snapshot.moment }

    // MARK: - Client and request

    /// The same in every event of the session, and unique for each session of a server.
    public var id: UInt64 { snapshot.record.id }
    /// The listener to which the client connected: its address in ``Configuration/listen``, with the port
    /// that the system chose.
    public var listener: String { snapshot.record.listener.text }
    /// The number of the worker that has accepted the session, from 0.
    public var worker: Int { snapshot.record.worker }
    /// When the session began, since 1970 (UTC).
    public var started: Duration { .milliseconds(snapshot.moment.milliseconds) - duration }
    public var client: Peer { snapshot.record.client }
    /// The load balancer that has named the client in a PROXY header; `nil` if there is none.
    public var balancer: Peer? { snapshot.record.balancer }
    /// `nil` until the client has sent bytes of a known protocol.
    public var `protocol`: ProxyProtocol? { snapshot.record.spoken }
    /// The selected login method; `nil` if none was selected (yet).
    public var method: Method? { snapshot.record.method }
    /// The user who has logged in, as bytes (RFC 1929). With SOCKS4, an unchecked name that the client has
    /// chosen. `nil` if there is none (yet).
    public var user: [UInt8]? { snapshot.record.user }
    /// `nil` if there was no request (yet).
    public var command: SOCKSCommand? { snapshot.record.command }
    /// The target of the request; `nil` if it isn't known, as with UDP ASSOCIATE.
    public var target: Target? {
        snapshot.record.command == .udpAssociate ? nil : snapshot.record.destination.flatMap { Target($0) }
    }

    /// The target as the client has sent it. Faster than ``target``, for lists of thousands of sessions.
    package var destination: Destination? {
        snapshot.record.command == .udpAssociate ? nil : snapshot.record.destination
    }

    /// The target's address: the connected one, the last one tried, or the one that a BIND was reached from.
    /// `nil` if there is none.
    public var address: Peer? { snapshot.record.address }
    /// This server's address of the connection to the target, of a BIND or of an association; `nil` if there
    /// is none.
    public var bound: Peer? { snapshot.record.bound }

    /// The route that was taken: ``Route/place`` or `route 3`, `user's route 3`, `listener's route 3`; `nil`
    /// if none matched.
    public var route: String? { snapshot.record.way?.route }
    /// The ``Parent`` that has carried out the request, or has failed last; `nil` if the session leaves
    /// directly.
    public var parent: String? { snapshot.record.way?.parent }

    // MARK: - How it goes

    public var stage: Stage { snapshot.record.stage }
    /// The last reply to the request (RFC 1928 section 6).
    public var reply: Reply? { snapshot.record.reply }
    /// How it has ended; `nil` while it runs.
    public var outcome: Outcome? { snapshot.record.code }
    /// The rule that has refused the request: ``Rule/place`` or `rule 3`, `user's rule 3`, `listener's rule 3`, `rule set`.
    public var rule: String? { snapshot.record.rule }
    /// The rule that only reports, see ``Rule/Action/report``, and would have refused the request, in the
    /// form of ``rule``. For an association, the first rule that would have dropped a datagram.
    public var wouldDeny: String? { snapshot.record.wouldDeny }
    /// Details about the outcome. Escape it: it may contain any bytes that a client has sent.
    public var reason: String? { snapshot.record.reason }
    /// Why it has ended; `nil` while it runs, or if it was refused.
    public var endedBy: EndedBy? { snapshot.record.endedBy }
    /// The error of the system or the resolver, such as `ECONNREFUSED`.
    public var error: String? { snapshot.record.errorName }
    /// How many addresses the server tried to connect to.
    public var dialAttempts: Int { Int(snapshot.record.dialAttempts) }

    // MARK: - How much

    /// Payload relayed so far.
    public var bytesClientToTarget: UInt64 { snapshot.traffic.sent }
    public var bytesTargetToClient: UInt64 { snapshot.traffic.received }
    /// Datagrams of a UDP association; `nil` for other sessions.
    public var datagrams: DatagramCounts? { snapshot.traffic.datagrams }

    // MARK: - Durations; `nil` if the stage wasn't reached, or hasn't ended

    /// From the accept to the complete request.
    public var handshake: Duration? { Self.duration(snapshot.record.times.handshake) }
    /// From the arrival of the credentials to the verdict.
    public var login: Duration? { Self.duration(snapshot.record.times.login) }
    /// The part of ``lookup`` before the lookup could begin.
    public var lookupWait: Duration? { Self.duration(snapshot.record.times.lookupWait) }
    /// Time for the lookup of the target's name.
    public var lookup: Duration? { Self.duration(snapshot.record.times.lookup) }
    /// From the first attempt until the target is connected, or the attempts have failed.
    public var dial: Duration? { Self.duration(snapshot.record.times.dial) }
    /// From the accept to the reply that reports success.
    public var ready: Duration? { Self.duration(snapshot.record.times.ready) }
    /// Since the last byte; for an ended session, from the last byte to the end.
    public var idle: Duration? { Self.duration(snapshot.record.times.idle) }
    /// Since the accept.
    public var duration: Duration { .milliseconds(Int64(snapshot.milliseconds)) }

    /// The same times in milliseconds, without conversion.
    package var times: SessionTimes { snapshot.record.times }
    package var milliseconds: UInt64 { snapshot.milliseconds }

    private static func duration(_ milliseconds: UInt64?) -> Duration? {
        milliseconds.map { .milliseconds(Int64($0)) }
    }
}
