internal import Locks
internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Everything that a worker lends to its sessions: its loop and clock, the current policy, and its part of everything
/// that workers share.
///
/// - Isolation: the worker's thread.
/// - Ownership: held by the worker, its sessions and their parts. It holds none of those, so there is no cycle. A
///   constant reference that isn't `unowned` costs nothing to use, which matters on the path of each byte.
final class Services {
    let loop: EventLoop
    let clock: Clock
    let pool: BufferPool
    let lookups: Lookups
    let journal: Journal
    /// Late answers of credential stores and rule sets.
    let logins: PendingAnswers<LoginVerdict>
    let decisions: PendingAnswers<RuleVerdict>
    /// Answers of GSSAPI contexts to tokens.
    let contexts: PendingAnswers<ContextProgress>
    let contextThreads: ContextThreads
    /// Results of embedders' connectors.
    let connections: PendingAnswers<ConnectAnswer>
    /// Closes streams and listeners whose events nobody needs any more.
    let closer = Closer()
    /// Allocated with the first association.
    private(set) lazy var datagrams = DatagramRoom()

    /// The buffer for answers of parents. Allocated on first use.
    private(set) lazy var answers = AnswerRoom()

    let bind: Configuration.Bind
    let udp: Configuration.UDP
    let families: Configuration.Families
    let advertisedAddresses: [IPAddress]
    let limit: ConnectionLimit
    let associations: AssociationLimit
    let sources: SourceTable
    let accounts: AccountTable
    let budget: MemoryBudget
    let portShortage: PortShortage
    private let throttle: Guarded<LoginThrottle>

    /// The policy from now on.
    var policy: Policy

    init(
        _ shared: Shared,
        _ policy: Policy,
        _ loop: EventLoop,
        _ journal: Journal,
        _ lookups: Lookups,
        logins: PendingAnswers<LoginVerdict>,
        decisions: PendingAnswers<RuleVerdict>,
        contexts: PendingAnswers<ContextProgress>,
        connections: PendingAnswers<ConnectAnswer>
    ) {
        self.policy = policy
        self.loop = loop
        self.journal = journal
        self.lookups = lookups
        self.logins = logins
        self.decisions = decisions
        self.contexts = contexts
        contextThreads = shared.contextThreads
        self.connections = connections
        clock = Clock(loop) { shared.duration(of: $0) }
        pool = BufferPool(shared.budget, shared.splicing, journal.counters)
        loop.wireMemory = pool
        bind = shared.bind
        udp = shared.udp
        families = shared.families
        advertisedAddresses = shared.advertisedAddresses
        limit = shared.limit
        associations = shared.associations
        sources = shared.sources
        accounts = shared.accounts
        budget = shared.budget
        portShortage = shared.portShortage
        throttle = shared.throttle
    }

    var counters: Counters { journal.counters }
    var logger: Logger { journal.logger }

    /// The egress of one connection for a subject.
    ///
    /// - Parameter way: the route's egress; it replaces all others.
    func egress(of subject: Subject, isIPv6: Bool, by way: EgressWay? = nil) -> EgressOptions {
        way?.options(for: subject, isIPv6: isIPv6, own: nil) ?? policy.egress(of: subject, isIPv6: isIPv6)
    }

    func isBanned(_ peer: Peer) -> Bool {
        policy.loginBan != nil && throttle.withLock { $0.isBanned(ClientSource(peer), now: clock.now) }
    }

    /// - Returns: whether the source has had so many failures that the answer is delayed.
    func noteFailedLogin(from client: Peer) -> Bool {
        counters.add(.failedLogins)
        switch throttle.withLock({ $0.noteFailure(of: ClientSource(client), now: clock.now) }) {
        case .atOnce:
            return false
        case .late:
            return true
        case .banned:
            logger.notice("source banned: too many failed logins", metadata: ["client": "\(client.host)"])
            return true
        }
    }
}
