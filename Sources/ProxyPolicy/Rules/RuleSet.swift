public import SOCKS5Protocol

/// Decides which destinations clients may reach. The built-in one uses ``Configuration/rules``; set your own as
/// ``Configuration/ruleSet``. The destination guard is asked too, and either can refuse.
///
/// A request is decided once, and that may take time. Addresses must be decided at once: a name has up to dozens of
/// them, and each datagram of an association has one and can't wait. Data that ``decide(_:)`` had to look up is
/// available by then.
public protocol RuleSet: Sendable {
    /// Called on the worker threads, several at once, for each request, before anything is looked up or dialled for it.
    /// It must not block: if the decision takes longer than some microseconds, return ``RuleAnswer/later(_:)``.
    func decide(_ request: RuleRequest) -> RuleAnswer

    /// Called in the same way when more is known about a target: for each address before it is dialled, for the peer of
    /// a BIND for anyone, and for the target of each datagram (for a name also before its lookup). Addresses that
    /// aren't permitted are skipped; if none is left, the request is denied. It must not block.
    func permits(_ target: RuleRequest) -> Bool
}

/// The client and its request.
public struct RuleRequest: Sendable {
    package let subject: Subject
    /// The target: an address, in whatever spelling the client has sent it, or a name. `nil` if none is known yet: for
    /// the request UDP ASSOCIATE, and for a BIND for anyone.
    public let target: Target?
    /// The requested name, if ``target`` is an address that was found by a lookup.
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
    /// The user that has logged in; `nil` if no login is required.
    public var user: [UInt8]? { subject.user }
    /// A SOCKS4 client's name for itself. It isn't verified.
    public var claimedUser: [UInt8]? { subject.claimedUser }
    /// CONNECT also stands for RESOLVE, which reveals no more than a connection to the same target would.
    public var command: SOCKSCommand { subject.command }
}

/// The answer of a ``RuleSet`` to a request.
public enum RuleAnswer: Sendable {
    case now(RuleVerdict)
    /// Runs as a task of its own. It is cancelled when the client leaves, or when
    /// ``Configuration/Timeouts/dial`` is over, which the client sees as reply 1. The time limit for
    /// dialling starts again after it. An error counts as ``RuleVerdict/unavailable``.
    case later(@Sendable () async throws -> RuleVerdict)
}

public enum RuleVerdict: Sendable {
    case allowed
    /// Refused with reply 2.
    case denied
    /// It can't be decided now: refused with reply 1.
    case unavailable
}
