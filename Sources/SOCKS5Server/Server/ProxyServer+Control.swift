internal import Locks
public import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

/// What somebody who looks after a running server asks it for. Each call may come at any moment, from any thread; what
/// asks the workers suspends until they have answered in their next turn.
extension ProxyServer {
    // MARK: - Sessions

    /// The sessions of this moment, those of each worker in the order of its table; empty before ``start()`` and behind
    /// the end.
    public func sessions() async -> [SessionInfo] {
        await askWorkers { .list($0) }.flatMap(\.self)
    }

    /// The last sessions that have ended, at most 200, the newest first. Without those that were no more than a port scan
    /// or a health check.
    public func recentSessions() async -> [SessionInfo] {
        let all = await askWorkers { .listEnded($0) }.flatMap(\.self)
        return Array(
            all.sorted { $0.moment.milliseconds > $1.moment.milliseconds }.prefix(RecentSessions.capacity)
        )
    }

    /// Ends a session, by ``SessionInfo/id``: both sides see a reset.
    ///
    /// - Returns: false where there is none.
    @discardableResult
    public func end(_ id: UInt64) async -> Bool { await end([id]) > 0 }

    /// Ends sessions, by ``SessionInfo/id``.
    ///
    /// - Returns: how many of them there were.
    @discardableResult
    public func end(_ ids: Set<UInt64>) async -> Int {
        await askWorkers { .end(ids, $0) }.reduce(0, +)
    }

    /// Ends the sessions that the users, rules and guard of the moment would refuse, as behind ``reload(_:)``: those of a
    /// user who is gone, has expired or may not come from there, and those to a target that is denied. A password that is
    /// another one now ends nothing. A ``CredentialStore`` is asked which users are gone, see
    /// ``CredentialStore/revoked(among:)``.
    ///
    /// - Returns: how many there were.
    @discardableResult
    public func endRefused() async -> Int {
        let revoked = await revokedUsers()
        return await askWorkers { .endRefused(revoked, $0) }.reduce(0, +)
    }

    private func revokedUsers() async -> Set<[UInt8]> {
        guard let store = credentialStore else { return [] }
        let users = Set(await sessions().compactMap(\.user))
        return users.isEmpty ? [] : await store.revoked(among: users)
    }

    /// Asks all workers at once, and waits for the last answer.
    ///
    /// - Parameter control: given to each worker, whose answer it passes on.
    /// - Returns: in the order of the workers, without those that answer no more.
    func askWorkers<Answer: Sendable>(
        _ control: (@escaping @Sendable (Answer) -> Void) -> WorkerControl
    ) async -> [Answer] {
        let answers = Gathered<Answer>(crew.members.count)
        return await withCheckedContinuation { done in
            for (index, member) in crew.members.enumerated() {
                let command = control { answers.add($0, of: index, done) }
                if !member.isServing || !member.mailbox.post(.control(command)) {
                    answers.add(nil, of: index, done)
                }
            }
        }
    }

    // MARK: - Parents

    /// Whether all parents are down to which the default route leads, the first of ``Configuration/routes`` without
    /// criteria. A parent that waits for a client to try it again isn't down for that.
    public var isCutOff: Bool { state.withLock { $0.defaultParents }?.isDown ?? false }

    // MARK: - Users

    /// What each user has of the server, by name. Users of the configuration are there, and others who have a session or
    /// had one lately.
    public func users() -> [UserUsage] {
        let (shared, limits) = state.withLock { ($0.shared, $0.limits) }
        guard let shared, let limits else { return [] }
        let today = shared.accounts.today
        return shared.accounts.all.map { UserUsage($0.name, $0.account, limits, today) }.sorted {
            $0.user.lexicographicallyPrecedes($1.user)
        }
    }

    /// The same of one user; `nil` where nothing is known of that one.
    public func usage(of user: [UInt8]) -> UserUsage? {
        let (shared, limits) = state.withLock { ($0.shared, $0.limits) }
        guard let shared, let limits, let account = shared.accounts.account(of: user) else { return nil }
        return UserUsage(user, account, limits, shared.accounts.today)
    }

    // MARK: - Bans, quotas, names

    /// The sources that are banned, see ``Configuration/loginBan``.
    public func bans() -> [Ban] {
        let now = LoopThread.now
        return state.withLock { $0.shared }.map { shared in
            shared.throttle.withLock { $0.banned(now: now) }.map { source, end in
                Ban(client: source.description, remaining: .milliseconds(Int64(end - now)))
            }
        } ?? []
    }

    /// Forgets the failed logins of a source, and lets it in again.
    ///
    /// - Parameter client: an address, or what ``Ban/client`` says.
    /// - Returns: false where it wasn't banned.
    @discardableResult
    public func liftBan(of client: String) -> Bool {
        let now = LoopThread.now
        guard let shared = state.withLock({ $0.shared }) else { return false }
        let address = IPAddress(client.prefix { $0 != "/" })?.unmapped
        return shared.throttle.withLock { throttle in
            let banned = throttle.banned(now: now).map(\.source)
            let wanted = address.map { ClientSource(Peer($0, port: 0)) }
            guard let source = banned.first(where: { $0 == wanted || $0.description == client }) else {
                return false
            }
            throttle.forget(source)
            return true
        }
    }

    /// Lets a user use the whole quota of this period again.
    ///
    /// - Returns: false if the user has no account.
    @discardableResult
    public func resetQuota(of user: [UInt8]) -> Bool {
        state.withLock { $0.shared }?.accounts.reset(user) ?? false
    }

    /// Forgets what lookups of names have found, so that each is looked up anew.
    ///
    /// - Returns: how many names there were.
    @discardableResult
    public func forgetNames() -> Int {
        state.withLock { $0.shared }?.names.withLock { $0.forgetAll() } ?? 0
    }
}

/// The answers to one question to several, one of each.
private final class Gathered<Answer: Sendable>: Sendable {
    private struct State {
        var answers: [Answer?]
        var missing: Int
    }

    private let state: Guarded<State>

    init(_ count: Int) {
        state = Guarded(State(answers: Array(repeating: nil, count: count), missing: count))
    }

    /// - Parameters:
    ///   - answer: `nil`: there is none.
    ///   - done: gets all, with the last one.
    func add(_ answer: Answer?, of index: Int, _ done: CheckedContinuation<[Answer], Never>) {
        let all: [Answer]? = state.withLock { state in
            state.answers[index] = answer
            state.missing -= 1
            return state.missing == 0 ? state.answers.compactMap(\.self) : nil
        }
        if let all { done.resume(returning: all) }
    }
}

/// What a user has of a server.
public struct UserUsage: Sendable {
    /// As bytes (RFC 1929).
    public let user: [UInt8]
    /// With a request, those that run.
    public let sessions: Int
    /// Payload that was relayed; it grows while sessions run.
    public let bytesClientToTarget: UInt64
    public let bytesTargetToClient: UInt64
    /// In bytes of both directions; `nil`: there is none.
    public let quota: Quota?
    /// Of the quota, in the period that goes on.
    public let quotaUsed: Int

    init(_ user: [UInt8], _ account: Account, _ limits: LimitTable, _ today: UTCDay) {
        self.user = user
        sessions = account.activity.sessions
        (bytesClientToTarget, bytesTargetToClient) = account.activity.bytes
        quota = limits.limits(of: user)?.quota
        quotaUsed = quota.map { account.used(of: $0, today) } ?? 0
    }
}

/// A source that may not connect for a while.
public struct Ban: Sendable {
    /// An IPv4 address, or the network of an IPv6 one, as `2001:db8::/64`.
    public let client: String
    public let remaining: Duration
}
