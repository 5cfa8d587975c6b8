internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// The places that a session has taken of those that limits count, and gives back.
struct SessionPlaces {
    private var isConnected = false
    private var isInHandshake = false
    /// Of the user, behind the request, and the limits that bind it.
    private(set) var account: Account?
    private var user: UserBounds?

    /// Takes the places of a connection.
    ///
    /// - Returns: the limit that it would exceed; then nothing is taken.
    mutating func enter(from peer: Peer, _ services: Services) -> LimitRefusal? {
        guard let limits = services.policy.limits.source else { return nil }
        if let refusal = services.sources.enter(ClientSource(peer), limits, now: services.clock.now) {
            return refusal
        }
        isConnected = true
        isInHandshake = true
        return nil
    }

    /// Counts as a handshake again. May be said again.
    mutating func beginHandshake(of peer: Peer, _ services: Services) {
        guard isConnected, !isInHandshake else { return }
        isInHandshake = true
        services.sources.beginHandshake(ClientSource(peer))
    }

    /// There is a request, or there won't be one. May be said again.
    mutating func endHandshake(of peer: Peer, _ services: Services) {
        guard isInHandshake else { return }
        isInHandshake = false
        services.sources.endHandshake(ClientSource(peer))
    }

    /// Takes the place of a request.
    ///
    /// - Parameters:
    ///   - user: `nil`: no login is required.
    ///   - terms: what a credential store has granted to the user.
    /// - Returns: the limit that it would exceed; then nothing is taken.
    mutating func enter(as user: [UInt8]?, _ terms: UserTerms?, _ services: Services) -> LimitRefusal? {
        guard let name = user, let limits = services.policy.limits.limits(of: name, terms) else { return nil }
        do throws(LimitRefusal) {
            account = try services.accounts.enter(name, limits, now: services.clock.now)
            self.user = limits
            return nil
        } catch {
            return error
        }
    }

    func isQuotaUsedUp(_ services: Services) -> Bool {
        guard let quota = user?.quota, let account else { return false }
        return account.hasUsedUp(quota, services.accounts.today)
    }

    /// - Returns: `nil` where nothing limits the direction.
    func meter(of direction: Direction, _ services: Services) -> Meter? {
        Meter.of(
            direction,
            services.clock,
            services.accounts,
            services.policy.limits.bandwidth,
            account,
            user
        )
    }

    /// Gives all of them back.
    mutating func leave(_ peer: Peer, _ services: Services) {
        endHandshake(of: peer, services)
        if isConnected { services.sources.leave(ClientSource(peer)) }
        isConnected = false
        account?.leave()
        account = nil
    }
}
