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
    mutating func enter(from peer: Peer, _ worker: Worker) -> LimitRefusal? {
        guard let limits = worker.policy.limits.source else { return nil }
        if let refusal = worker.context.sources.enter(ClientSource(peer), limits, now: worker.loop.now) {
            return refusal
        }
        isConnected = true
        isInHandshake = true
        return nil
    }

    /// Counts as a handshake again. May be said again.
    mutating func beginHandshake(of peer: Peer, _ worker: Worker) {
        guard isConnected, !isInHandshake else { return }
        isInHandshake = true
        worker.context.sources.beginHandshake(ClientSource(peer))
    }

    /// There is a request, or there won't be one. May be said again.
    mutating func endHandshake(of peer: Peer, _ worker: Worker) {
        guard isInHandshake else { return }
        isInHandshake = false
        worker.context.sources.endHandshake(ClientSource(peer))
    }

    /// Takes the place of a request.
    ///
    /// - Parameters:
    ///   - user: `nil`: no login is required.
    ///   - terms: what a credential store has granted to the user.
    /// - Returns: the limit that it would exceed; then nothing is taken.
    mutating func enter(as user: [UInt8]?, _ terms: UserTerms?, _ worker: Worker) -> LimitRefusal? {
        guard let name = user, let limits = worker.policy.limits.limits(of: name, terms) else { return nil }
        do throws(LimitRefusal) {
            account = try worker.context.accounts.enter(name, limits, now: worker.loop.now)
            self.user = limits
            return nil
        } catch {
            return error
        }
    }

    func isQuotaUsedUp(_ worker: Worker) -> Bool {
        guard let quota = user?.quota, let account else { return false }
        return account.hasUsedUp(quota, worker.context.accounts.today)
    }

    /// - Returns: `nil` where nothing limits the direction.
    func meter(of direction: Direction, _ worker: Worker) -> Meter? {
        Meter.of(direction, worker, account, user)
    }

    /// Gives all of them back.
    mutating func leave(_ peer: Peer, _ worker: Worker) {
        endHandshake(of: peer, worker)
        if isConnected { worker.context.sources.leave(ClientSource(peer)) }
        isConnected = false
        account?.leave()
        account = nil
    }
}
