internal import UVLoop

/// The places that a session has taken of those that limits count, and gives back.
struct SessionPlaces {
    private var isConnected = false
    private var isInHandshake = false
    /// Of the user, behind the request, and the limits that bind it.
    private(set) var account: Account?
    private var user: UserSettings?

    /// Takes the places of a connection.
    ///
    /// - Parameter now: milliseconds on the loop's clock.
    /// - Returns: the limit that it would exceed; then nothing is taken.
    mutating func enter(from peer: SocketAddress, _ context: ServerContext, now: UInt64) -> LimitRefusal? {
        guard let limits = context.limits.source else { return nil }
        if let refusal = context.sources.enter(ClientSource(peer), limits, now: now) { return refusal }
        isConnected = true
        isInHandshake = true
        return nil
    }

    /// There is a request, or there won't be one. May be said again.
    mutating func endHandshake(of peer: SocketAddress, _ context: ServerContext) {
        guard isInHandshake else { return }
        isInHandshake = false
        context.sources.endHandshake(ClientSource(peer))
    }

    /// Takes the place of a request.
    ///
    /// - Parameters:
    ///   - user: `nil`: no login is asked for.
    ///   - now: milliseconds on the loop's clock.
    /// - Returns: the limit that it would exceed; then nothing is taken.
    mutating func enter(as user: [UInt8]?, _ context: ServerContext, now: UInt64) -> LimitRefusal? {
        guard let name = user, let limits = context.limits.limits(of: name) else { return nil }
        do throws(LimitRefusal) {
            account = try context.accounts.enter(name, limits, now: now)
            self.user = limits
            return nil
        } catch {
            return error
        }
    }

    /// - Returns: `nil` where nothing limits the direction.
    func meter(of direction: Direction, _ worker: Worker) -> Meter? {
        Meter(worker, direction, account, user)
    }

    /// Gives all of them back.
    mutating func leave(_ peer: SocketAddress, _ context: ServerContext) {
        endHandshake(of: peer, context)
        if isConnected { context.sources.leave(ClientSource(peer)) }
        isConnected = false
        account?.leave()
        account = nil
    }
}
