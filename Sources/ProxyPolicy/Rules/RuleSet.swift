public import SOCKS5Protocol

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
    package let subject: Subject
    /// The target: an address, however the client has written it, or a name. `nil`: none is known yet, as with UDP
    /// ASSOCIATE as a request, and with a BIND that awaits anyone.
    public let target: Target?
    /// What the client has asked for, where ``target`` is an address that was found by a lookup.
    public let name: HostName?

    package init(_ subject: Subject, _ target: Target?, named name: HostName? = nil) {
        self.subject = subject
        self.target = target
        self.name = name
    }

    /// For tests of a rule set.
    public init(
        client: Peer,
        user: [UInt8]? = nil,
        command: SOCKSCommand,
        target: Target?,
        named name: HostName? = nil
    ) {
        self.init(Subject(client: client, user: user, command: command), target, named: name)
    }

    public var client: Peer { subject.client }
    /// Who has logged in; `nil`: no login is asked for.
    public var user: [UInt8]? { subject.user }
    /// The name that a SOCKS4 client gives itself. Nobody has checked it.
    public var claimedUser: [UInt8]? { subject.claimedUser }
    /// CONNECT stands for RESOLVE too, which tells no more than a connection to the same target would.
    public var command: SOCKSCommand { subject.command }
}

/// What a ``RuleSet`` says to a request.
public enum RuleAnswer: Sendable {
    case now(RuleVerdict)
    /// Runs as a task of its own; cancelled when the client leaves or ``Configuration/Timeouts/dial`` is over, which
    /// the client sees as reply 01. The time for the dial begins anew behind it. An error is ``RuleVerdict/unavailable``.
    case later(@Sendable () async throws -> RuleVerdict)
}

public enum RuleVerdict: Sendable {
    case allowed
    /// Answered with reply 02.
    case denied
    /// It can't be said now: answered with reply 01.
    case unavailable
}
