internal import Locks
internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// What a worker lends to its sessions: its loop and clock, the policy of the moment, and its part of everything that
/// workers share.
///
/// - Isolation: the worker's thread.
/// - Ownership: the worker's, its sessions' and their parts'. It owns none of those, so there is no circle. A constant
///   that isn't `unowned` costs nothing to use, as each byte's way does.
final class Services {
    let loop: EventLoop
    let clock: Clock
    let pool: BufferPool
    let lookups: Lookups
    let journal: Journal
    /// Answers of credential stores and of rule sets that take their time.
    let logins: PendingAnswers<LoginVerdict>
    let decisions: PendingAnswers<RuleVerdict>
    /// What contexts of GSSAPI say to tokens.
    let contexts: PendingAnswers<ContextProgress>
    let contextThreads: ContextThreads
    /// Targets of embedders' connectors.
    let connections: PendingAnswers<ConnectAnswer>
    /// Ends the streams and listeners of which nobody wants to hear any more.
    let closer = Closer()
    /// Memory for nothing until there is an association.
    private(set) lazy var datagrams = DatagramRoom()

    /// Where answers of parents are read. No memory until there is one.
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

    /// Who may do what, from now on.
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

    /// By what one connection for a subject leaves.
    ///
    /// - Parameter way: of its route, instead of all others.
    func egress(of subject: Subject, isIPv6: Bool, by way: EgressWay? = nil) -> EgressOptions {
        way?.options(for: subject, isIPv6: isIPv6, own: nil) ?? policy.egress(of: subject, isIPv6: isIPv6)
    }

    func isBanned(_ peer: Peer) -> Bool {
        policy.loginBan != nil && throttle.withLock { $0.isBanned(ClientSource(peer), now: clock.now) }
    }

    /// - Returns: whether the source has had so many that the answer comes late.
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
