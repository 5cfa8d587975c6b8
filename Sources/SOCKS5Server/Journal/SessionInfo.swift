internal import ProxyPolicy
public import SOCKS5Protocol
package import Text
internal import UVLoop

/// One session, as it was at one moment. Passed on by reference; what isn't asked for costs nothing.
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
    ///   - moment: the same on the system's clock.
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

    /// When the session was like this.
    package var moment: Timestamp { snapshot.moment }

    // MARK: - Who and what

    /// The same in every event of the session, and another one for each session of a server.
    public var id: UInt64 { snapshot.record.id }
    /// Where the client has connected to: the address of ``Configuration/listen``, with the port that the system chose.
    public var listener: String { snapshot.record.listener.text }
    /// The number of the worker that has accepted the session, from 0.
    public var worker: Int { snapshot.record.worker }
    /// When the session began, since 1970 (UTC).
    public var started: Duration { .milliseconds(snapshot.moment.milliseconds) - duration }
    public var client: Peer { snapshot.record.client }
    /// The load balancer that has named the client by a PROXY header. `nil`: none has.
    public var balancer: Peer? { snapshot.record.balancer }
    /// `nil`: nothing of a protocol that is known has come.
    public var `protocol`: ProxyProtocol? { snapshot.record.spoken }
    /// How clients have to log in. `nil`: none was selected, yet or at all.
    public var method: Method? { snapshot.record.method }
    /// Who has logged in, as bytes (RFC 1929); with SOCKS4 the name that the client gives itself, which nobody has
    /// checked. `nil`: nobody has, yet or at all.
    public var user: [UInt8]? { snapshot.record.user }
    /// `nil`: there was no request, yet or at all.
    public var command: SOCKSCommand? { snapshot.record.command }
    /// What the request is for. `nil`: none is known, as with UDP ASSOCIATE.
    public var target: Target? {
        snapshot.record.command == .udpAssociate ? nil : snapshot.record.destination.flatMap { Target($0) }
    }

    /// The target as it was asked for, for those who look at thousands of sessions: making a ``target`` takes longer.
    package var destination: Destination? {
        snapshot.record.command == .udpAssociate ? nil : snapshot.record.destination
    }

    /// Where the target is: as dialled, last tried, or connected from. `nil`: nothing was.
    public var address: Peer? { snapshot.record.address }
    /// This server's end of the target's connection, of a BIND or an association. `nil`: there is none.
    public var bound: Peer? { snapshot.record.bound }

    /// The route that was taken: ``Route/place`` or `route 3`, `user's route 3`, `listener's route 3`. `nil`: none matched.
    public var route: String? { snapshot.record.way?.route }
    /// The ``Parent`` that has carried the request out, or has failed last. `nil`: the session leaves straight.
    public var parent: String? { snapshot.record.way?.parent }

    // MARK: - How it goes

    public var stage: Stage { snapshot.record.stage }
    /// The last reply to the request (RFC 1928 section 6).
    public var reply: Reply? { snapshot.record.reply }
    /// How it has ended. `nil`: it goes on.
    public var outcome: Outcome? { snapshot.record.code }
    /// The rule that has refused the request: ``Rule/place`` or `rule 3`, `user's rule 3`, `listener's rule 3`, `rule set`.
    public var rule: String? { snapshot.record.rule }
    /// The rule that only reports, see ``Rule/Action/report``, and would have refused the request: called as ``rule`` is.
    /// Of an association, the one that would have dropped a datagram first.
    public var wouldDeny: String? { snapshot.record.wouldDeny }
    /// What else there is to say about the outcome. Has any bytes in it that a client has sent: escape it.
    public var reason: String? { snapshot.record.reason }
    /// Why it has ended. `nil`: it goes on, or was refused.
    public var endedBy: EndedBy? { snapshot.record.endedBy }
    /// The system's or the resolver's error, as `ECONNREFUSED`.
    public var error: String? { snapshot.record.errorName }
    /// To how many addresses a connection was tried.
    public var dialAttempts: Int { Int(snapshot.record.dialAttempts) }

    // MARK: - How much

    /// Payload relayed so far.
    public var bytesClientToTarget: UInt64 { snapshot.traffic.sent }
    public var bytesTargetToClient: UInt64 { snapshot.traffic.received }
    /// Of a UDP association; `nil`: it isn't one.
    public var datagrams: DatagramCounts? { snapshot.traffic.datagrams }

    // MARK: - How long. `nil`: the stage was not reached, or goes on.

    /// From the accept to the whole request.
    public var handshake: Duration? { Self.duration(snapshot.record.times.handshake) }
    /// From the credentials to the verdict on them.
    public var login: Duration? { Self.duration(snapshot.record.times.login) }
    /// Of ``lookup``, the time until the lookup could begin.
    public var lookupWait: Duration? { Self.duration(snapshot.record.times.lookupWait) }
    /// For the addresses of the target's name.
    public var lookup: Duration? { Self.duration(snapshot.record.times.lookup) }
    /// From the first attempt to the connected target, or to the failure.
    public var dial: Duration? { Self.duration(snapshot.record.times.dial) }
    /// From the accept to the reply of success.
    public var ready: Duration? { Self.duration(snapshot.record.times.ready) }
    /// Since the last byte; of a session that has ended, before the end.
    public var idle: Duration? { Self.duration(snapshot.record.times.idle) }
    /// From the accept on.
    public var duration: Duration { .milliseconds(Int64(snapshot.milliseconds)) }

    /// The same in milliseconds, without a detour.
    package var times: SessionTimes { snapshot.record.times }
    package var milliseconds: UInt64 { snapshot.milliseconds }

    private static func duration(_ milliseconds: UInt64?) -> Duration? {
        milliseconds.map { .milliseconds(Int64($0)) }
    }
}
