internal import Logging
internal import SOCKS5Protocol
internal import UVLoop

/// What all workers of a server share.
final class ServerContext: Sendable {
    let timeouts: Configuration.Timeouts
    let bind: Configuration.Bind
    let udp: Configuration.UDP
    let advertisedAddresses: [AdvertisedAddress]
    let throttle: Guarded<LoginThrottle>
    let crew: Crew
    let limit: ConnectionLimit
    let associations: AssociationLimit
    let sources = SourceTable()
    let accounts: AccountTable
    let budget: MemoryBudget
    let splicing: Splicing
    let names: Resolver.Names
    let nameResolver: (any NameResolver)?
    let families: Configuration.Families
    let egress: Egress
    let logger: Logger

    init(
        _ configuration: Configuration,
        crew: Crew,
        limit: ConnectionLimit,
        accounts: AccountTable,
        logger: Logger
    ) {
        timeouts = configuration.timeouts
        bind = configuration.bind
        udp = configuration.udp
        associations = AssociationLimit(maximum: configuration.udp.associationsPerClient)
        advertisedAddresses = configuration.advertisedAddresses
        throttle = Guarded(LoginThrottle(configuration.loginBan))
        budget = MemoryBudget(limit: configuration.bufferMemory)
        splicing = configuration.splicing
        names = Guarded(NameTable(configuration.resolver))
        nameResolver = configuration.nameResolver
        families = configuration.families
        egress = configuration.egress.socketOptions
        self.crew = crew
        self.limit = limit
        self.accounts = accounts
        self.logger = logger
    }

    /// How long each deadline lasts, in milliseconds.
    func duration(of deadline: Deadline) -> UInt64 {
        switch deadline {
        case .handshake: timeouts.handshake.milliseconds
        case .lateRefusal: 1000
        case .dial: timeouts.dial.milliseconds
        case .bind: bind.timeout.milliseconds
        case .turn: 250
        case .idle: timeouts.idle.milliseconds
        case .halfClosed: min(timeouts.halfClosed, timeouts.idle).milliseconds
        case .udpIdle: udp.idle.milliseconds
        case .refusal: 5000
        }
    }
}

extension Duration {
    /// Whole milliseconds, rounded up; within a century, so that sums can't overflow.
    var milliseconds: UInt64 {
        let century: Duration = .seconds(100 * 365 * 86400)
        let (seconds, attoseconds) = Swift.max(.zero, Swift.min(self, century)).components
        return UInt64(seconds) * 1000 + UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
