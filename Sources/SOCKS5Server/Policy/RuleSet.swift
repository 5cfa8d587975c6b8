public import SOCKS5Protocol
internal import UVLoop

/// Decides what clients may reach. The built-in one has ``Configuration/rules``; one of your own goes into
/// ``Configuration/ruleSet``. The destination guard is asked beside it, and either refuses.
///
/// A request is decided once, and that may take its time. Addresses are decided at once: a name has up to dozens, and
/// each datagram of an association has one, which would be late where its answer was. What ``decide(_:)`` had to look
/// up is at hand by then.
public protocol RuleSet: Sendable {
    /// Called by the workers' threads, several at once, for each request, before anything is looked up or dialled for
    /// it. Must not block: what takes longer than some microseconds is answered ``RuleAnswer/later(_:)``.
    func decide(_ request: RuleRequest) -> RuleAnswer

    /// Called the same way for each target of which more is known: each address that is to be dialled, whoever connects
    /// to a BIND that awaits anyone, and the target of each datagram, where that is a name also before its lookup.
    /// Addresses that aren't permitted are passed over; where none is left, the request is denied. Must not block.
    func permits(_ target: RuleRequest) -> Bool
}

/// Who asks for what.
public struct RuleRequest: Sendable {
    let requester: Requester
    /// The target: an address, however the client has written it, or a name. With UDP ASSOCIATE as a request, and with
    /// a BIND that awaits anyone, none is known, and this is what the client has sent.
    public let destination: Destination
    /// What the client has asked for, where ``destination`` is an address that was found by a lookup.
    public let name: DomainName?

    init(_ requester: Requester, _ destination: Destination, named name: DomainName? = nil) {
        self.requester = requester
        self.destination = destination
        self.name = name
    }

    /// The client's numeric address, as `192.0.2.1` or `2001:db8::1`.
    public var client: String { SocketAddress(host: requester.client, port: 0).hostText }
    /// Who has logged in; `nil`: no login is asked for.
    public var user: [UInt8]? { requester.user }
    public var command: Command { requester.command }
}

/// What a ``RuleSet`` says to a request.
public enum RuleAnswer: Sendable {
    case now(RuleVerdict)
    /// Runs as a task of its own; cancelled when the client leaves or ``Configuration/Timeouts/dial`` is over, which
    /// the client sees as reply 01. The time for the dial begins anew behind it.
    case later(@Sendable () async -> RuleVerdict)
}

public enum RuleVerdict: Sendable {
    case allowed
    /// Answered with reply 02.
    case denied
    /// It can't be said now: answered with reply 01.
    case unavailable
}
