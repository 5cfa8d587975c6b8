internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// The places counted by limits that a session has taken, and gives back.
struct SessionPlaces {
    private var isConnected = false
    private var isInHandshake = false
    /// Its request hasn't come, so a new connection may displace it.
    private var isUnfinished = false
    /// The scope in which the source is counted.
    private var scope = SourceScope.common
    /// Whether it holds a place of ``ConnectionLimit``.
    private var hasPlace = false
    /// The user's account after the request, and the user's limits, if there are any.
    private var account: Account?
    private var user: UserBounds?
    /// The parent that carries the session, or is about to.
    private var parent: ParentRecord?

    /// Takes the places of a connection, except the one of ``ConnectionLimit``.
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

    /// Waits for a PROXY header, and can be displaced like a handshake. May be called before
    /// ``enter(from:at:under:_:)``.
    mutating func awaitHeader(_ services: Services) {
        if !isUnfinished { services.counters.handshakeDidBegin() }
        isUnfinished = true
    }

    /// Has taken a place of ``ConnectionLimit``.
    mutating func keepPlace() {
        hasPlace = true
    }

    /// The place belongs to another session from now on.
    mutating func passOnPlace(_ services: Services) {
        hasPlace = false
        requestDidCome(services)
    }

    /// There is a request, or there won't be one. May be called repeatedly.
    mutating func requestDidCome(_ services: Services) {
        if isUnfinished { services.counters.handshakeDidEnd() }
        isUnfinished = false
    }

    /// Counts as a handshake again. May be called repeatedly.
    mutating func beginHandshake(of peer: Peer, _ services: Services) {
        guard isConnected, !isInHandshake else { return }
        isInHandshake = true
        services.sources.beginHandshake(ClientSource(peer), in: scope)
    }

    /// For the source's limits the handshake is over. May be called repeatedly.
    mutating func endHandshake(of peer: Peer, _ services: Services) {
        requestDidCome(services)
        guard isInHandshake else { return }
        isInHandshake = false
        services.sources.endHandshake(ClientSource(peer), in: scope)
    }

    /// Takes the place of a request.
    ///
    /// - Parameters:
    ///   - user: `nil` if no login is required.
    ///   - terms: the terms that a credential store has granted to the user.
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

    /// Takes a place at a parent, and gives back the one at another parent.
    ///
    /// - Parameter parent: `nil` for none.
    mutating func turn(to parent: ParentRecord?) {
        parent?.counts.sessionDidCome()
        self.parent?.counts.sessionDidLeave()
        self.parent = parent
    }

    /// Whether the user's account is one of these.
    func isOne(of accounts: Set<ObjectIdentifier>) -> Bool {
        guard let account else { return false }
        return accounts.contains(ObjectIdentifier(account))
    }

    func isQuotaUsedUp(_ services: Services) -> Bool {
        guard let quota = user?.quota, let account else { return false }
        return account.hasUsedUp(quota, services.accounts.today)
    }

    /// - Returns: `nil` if nothing limits the direction.
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

    /// The tally in which the worker counts the user's payload. `nil` if nobody has logged in.
    func tally(_ services: Services) -> UserActivity.Tally? {
        account?.activity.tally(ofWorker: services.journal.worker)
    }

    /// Gives back the place of ``ConnectionLimit``, because the sockets are closed. May be called repeatedly.
    mutating func leaveLimit(_ services: Services) {
        if hasPlace { services.limit.leave() }
        hasPlace = false
    }

    /// Gives all places back.
    mutating func leave(_ peer: Peer, _ services: Services) {
        endHandshake(of: peer, services)
        if isConnected { services.sources.leave(ClientSource(peer), in: scope) }
        isConnected = false
        leaveLimit(services)
        account?.leave()
        account = nil
        turn(to: nil)
    }
}
