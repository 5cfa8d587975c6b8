internal import Locks
internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Everything that all workers of a server share.
final class Shared: Sendable {
    let timeouts: Configuration.Timeouts
    let bind: Configuration.Bind
    let udp: Configuration.UDP
    let advertisedAddresses: [IPAddress]
    let throttle: Guarded<LoginThrottle>
    let limit: ConnectionLimit
    let associations: AssociationLimit
    let sources = SourceTable()
    let accounts: AccountTable
    let budget: MemoryBudget
    let splicing: Splicing
    let names: SharedNames
    let nameCounts: NameCounts
    let nameResolver: (any NameResolver)?
    let families: Configuration.Families
    let portShortage: PortShortage
    let parents: ParentTable
    let contextThreads = ContextThreads()
    let logger: Logger
    let observer: (any SessionObserver)?

    init(
        _ configuration: Configuration,
        limit: ConnectionLimit,
        accounts: AccountTable,
        logger: Logger
    ) {
        timeouts = configuration.timeouts
        bind = configuration.bind
        udp = configuration.udp
        associations = AssociationLimit(maximum: configuration.udp.associationsPerSource)
        advertisedAddresses = configuration.advertisedAddresses
        throttle = Guarded(LoginThrottle(configuration.loginBan))
        budget = MemoryBudget(limit: configuration.bufferMemory ?? MemoryBudget.standardLimit())
        splicing = configuration.splicing
        let table = NameTable<NamePost>(configuration.resolver)
        nameCounts = table.counts
        names = Guarded(table)
        nameResolver = configuration.nameResolver
        families = configuration.families
        portShortage = PortShortage(logger)
        parents = ParentTable(logger)
        self.limit = limit
        self.accounts = accounts
        self.logger = logger
        observer = configuration.observer
    }

    /// How long each deadline lasts, in milliseconds.
    func duration(of deadline: Deadline) -> UInt64 {
        switch deadline {
        case .handshake: timeouts.handshake.milliseconds
        case .lateRefusal: 1000
        case .dial: timeouts.dial.milliseconds
        case .bind: bind.timeout.milliseconds
        case .turn: 250
        case .look: 1000
        case .idle: timeouts.idle.milliseconds
        case .halfClosed: min(timeouts.halfClosed, timeouts.idle).milliseconds
        case .udpIdle: udp.idle.milliseconds
        case .refusal: 5000
        case .session: timeouts.session?.milliseconds ?? .max
        }
    }
}
