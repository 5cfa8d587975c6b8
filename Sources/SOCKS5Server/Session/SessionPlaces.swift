internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// The places that a session has taken of those that limits count, and gives back.
struct SessionPlaces {
    private var isConnected = false
    private var isInHandshake = false
    /// Without a request, so that it may have to give way to a new connection.
    private var isUnfinished = false
    /// Where the source is counted.
    private var scope = SourceScope.common
    /// Of those that ``ConnectionLimit`` has.
    private var hasPlace = false
    /// Of the user, behind the request, and the limits that bind it, if there are any.
    private var account: Account?
    private var user: UserBounds?
    /// The one that carries the session, or is to.
    private var parent: ParentRecord?

    /// Takes the places of a connection, but for the one of ``ConnectionLimit``.
    ///
    /// - Returns: the limit that it would exceed; then nothing is taken.
    mutating func enter(
        from peer: Peer,
        at listener: ListenerName,
        under terms: ListenerTerms,
        _ services: Services
    ) -> LimitRefusal? {
        let own = terms.bounds
        if let limits = own.map(\.source) ?? services.policy.limits.source {
            let source = ClientSource(peer)
            if own != nil { scope = SourceScope(listener: listener.index) }
            if let refusal = services.sources.enter(source, limits, in: scope, now: services.clock.now) {
                return refusal
            }
            isConnected = true
            isInHandshake = true
        }
        awaitHeader(services)
        return nil
    }

    /// Waits for a PROXY header, and gives way to others like a handshake. May be said before ``enter(from:at:under:_:)``.
    mutating func awaitHeader(_ services: Services) {
        if !isUnfinished { services.counters.handshakeDidBegin() }
        isUnfinished = true
    }

    /// Has taken a place of ``ConnectionLimit``.
    mutating func keepPlace() {
        hasPlace = true
    }

    /// The place is another session's from now on.
    mutating func passOnPlace(_ services: Services) {
        hasPlace = false
        requestDidCome(services)
    }

    /// There is a request, or there won't be one. May be said again.
    mutating func requestDidCome(_ services: Services) {
        if isUnfinished { services.counters.handshakeDidEnd() }
        isUnfinished = false
    }

    /// Counts as a handshake again. May be said again.
    mutating func beginHandshake(of peer: Peer, _ services: Services) {
        guard isConnected, !isInHandshake else { return }
        isInHandshake = true
        services.sources.beginHandshake(ClientSource(peer), in: scope)
    }

    /// The source is told that the handshake is over. May be said again.
    mutating func endHandshake(of peer: Peer, _ services: Services) {
        requestDidCome(services)
        guard isInHandshake else { return }
        isInHandshake = false
        services.sources.endHandshake(ClientSource(peer), in: scope)
    }

    /// Takes the place of a request.
    ///
    /// - Parameters:
    ///   - user: `nil`: no login is required.
    ///   - terms: what a credential store has granted to the user.
    /// - Returns: the limit that it would exceed; then nothing is taken.
    mutating func enter(as user: [UInt8]?, _ terms: UserTerms?, _ services: Services) -> LimitRefusal? {
        guard let name = user else { return nil }
        let limits = services.policy.limits.limits(of: name, terms)
        do throws(LimitRefusal) {
            account = try services.accounts.enter(name, limits, now: services.clock.now)
            self.user = limits
            return nil
        } catch {
            return error
        }
    }

    /// Takes a place at a parent, and gives that at another one back.
    ///
    /// - Parameter parent: `nil`: at none.
    mutating func turn(to parent: ParentRecord?) {
        parent?.counts.sessionDidCome()
        self.parent?.counts.sessionDidLeave()
        self.parent = parent
    }

    /// Whether the user has one of these accounts.
    func isOne(of accounts: Set<ObjectIdentifier>) -> Bool {
        guard let account else { return false }
        return accounts.contains(ObjectIdentifier(account))
    }

    func isQuotaUsedUp(_ services: Services) -> Bool {
        guard let quota = user?.quota, let account else { return false }
        return account.hasUsedUp(quota, services.accounts.today)
    }

    /// - Returns: `nil` where nothing limits the direction.
    func meter(of direction: Direction, at listener: ListenerName, _ services: Services) -> Meter? {
        let own = services.policy.terms(of: listener).bounds
        return Meter.of(
            direction,
            services.clock,
            services.accounts,
            own.map(\.bandwidth) ?? services.policy.limits.bandwidth,
            account,
            user
        )
    }

    /// Where the worker counts the user's payload. `nil`: nobody has logged in.
    func tally(_ services: Services) -> UserActivity.Tally? {
        account?.activity.tally(ofWorker: services.journal.worker)
    }

    /// Gives all of them back.
    mutating func leave(_ peer: Peer, _ services: Services) {
        endHandshake(of: peer, services)
        if isConnected { services.sources.leave(ClientSource(peer), in: scope) }
        isConnected = false
        if hasPlace { services.limit.leave() }
        hasPlace = false
        account?.leave()
        account = nil
        turn(to: nil)
    }
}
