internal import Locks
public import ProxyPolicy
internal import SOCKS5Protocol
internal import Text
internal import UVLoop

/// Control of a running server. Each method may be called at any moment, from any thread. Methods that ask
/// the workers suspend until these have answered in their next turn.
extension ProxyServer {
    // MARK: - Sessions

    /// The current sessions, those of each worker in the order of its table; empty before ``start()`` and
    /// after the end.
    public func sessions() async -> [SessionInfo] {
        await askWorkers { .list($0) }.flatMap(\.self)
    }

    /// The last sessions that have ended, at most 200, the newest first. Port scans and health checks aren't
    /// included.
    public func recentSessions() async -> [SessionInfo] {
        let all = await askWorkers { .listEnded($0) }.flatMap(\.self)
        return Array(
            all.sorted { $0.moment.milliseconds > $1.moment.milliseconds }.prefix(RecentSessions.capacity)
        )
    }

    /// Ends a session, identified by ``SessionInfo/id``: both sides see a reset.
    ///
    /// - Returns: false if there is no such session.
    @discardableResult
    public func end(_ id: UInt64) async -> Bool { await end([id]) > 0 }

    /// Ends sessions, identified by ``SessionInfo/id``.
    ///
    /// - Returns: how many of them existed.
    @discardableResult
    public func end(_ ids: Set<UInt64>) async -> Int {
        await askWorkers { .end(ids, $0) }.reduce(0, +)
    }

    /// Ends the sessions that the current users, rules and guard would refuse, for example after
    /// ``reload(_:)``: sessions of a user who was removed, has expired or may no longer log in from there,
    /// and sessions to a target that is now denied. A changed password ends no session. A ``CredentialStore``
    /// is asked which users are gone, see ``CredentialStore/revoked(among:)``.
    ///
    /// - Returns: the number of these sessions.
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

    /// Asks all workers at the same time, and waits for the last answer.
    ///
    /// - Parameter control: runs with each worker, and returns its answer.
    /// - Returns: the answers in the order of the workers; workers that have ended give none.
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

    /// Whether all parents of the default route are down. The default route is the first of
    /// ``Configuration/routes`` without criteria. A parent that waits for a client to try it again doesn't
    /// count as down here.
    public var isCutOff: Bool { state.withLock { $0.defaultParents }?.isDown ?? false }

    // MARK: - Users

    /// The usage of each user, by name: users of the configuration, and others who have a session or recently
    /// had one.
    public func users() -> [UserUsage] {
        let (shared, limits) = state.withLock { ($0.shared, $0.limits) }
        guard let shared, let limits else { return [] }
        let today = shared.accounts.today
        return shared.accounts.all.map { UserUsage($0.name, $0.account, limits, today) }.sorted {
            $0.user.lexicographicallyPrecedes($1.user)
        }
    }

    /// The usage of one user; `nil` if nothing is known about that user.
    public func usage(of user: [UInt8]) -> UserUsage? {
        let (shared, limits) = state.withLock { ($0.shared, $0.limits) }
        guard let shared, let limits, let account = shared.accounts.account(of: user) else { return nil }
        return UserUsage(user, account, limits, shared.accounts.today)
    }

    // MARK: - Bans, quotas, names

    /// The banned sources, see ``Configuration/loginBan``.
    public func bans() -> [Ban] {
        let now = LoopThread.now
        return state.withLock { $0.shared }.map { shared in
            shared.throttle.withLock { $0.banned(now: now) }.map { source, end in
                Ban(client: source.description, remaining: .milliseconds(Int64(end - now)))
            }
        } ?? []
    }

    /// Forgets the failed logins of a source, and lifts its ban.
    ///
    /// - Parameter client: an address, or the text of ``Ban/client``.
    /// - Returns: false if it wasn't banned.
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

    /// Starts a user's quota of this period again from zero.
    ///
    /// - Returns: false if the user has no account.
    @discardableResult
    public func resetQuota(of user: [UInt8]) -> Bool {
        state.withLock { $0.shared }?.accounts.reset(user) ?? false
    }

    /// Empties the cache of names, so that each name is looked up again.
    ///
    /// - Returns: how many names were in the cache.
    @discardableResult
    public func forgetNames() -> Int {
        state.withLock { $0.shared }?.names.withLock { $0.forgetAll() } ?? 0
    }
}

/// Collects the answers of several workers to one question.
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
    ///   - answer: `nil` if there is none.
    ///   - done: resumed with all answers once the last one has arrived.
    func add(_ answer: Answer?, of index: Int, _ done: CheckedContinuation<[Answer], Never>) {
        let all: [Answer]? = state.withLock { state in
            state.answers[index] = answer
            state.missing -= 1
            return state.missing == 0 ? state.answers.compactMap(\.self) : nil
        }
        if let all { done.resume(returning: all) }
    }
}

/// A user's sessions, traffic and quota.
public struct UserUsage: Sendable {
    /// The name as bytes (RFC 1929).
    public let user: [UInt8]
    /// Running sessions with a request.
    public let sessions: Int
    /// Relayed payload; it grows while sessions are running.
    public let bytesClientToTarget: UInt64
    public let bytesTargetToClient: UInt64
    /// In bytes of both directions; `nil` if there is none.
    public let quota: Quota?
    /// The used part of the quota in the current period.
    public let quotaUsed: Int

    init(_ user: [UInt8], _ account: Account, _ limits: LimitTable, _ today: UTCDay) {
        self.user = user
        sessions = account.activity.sessions
        (bytesClientToTarget, bytesTargetToClient) = account.activity.bytes
        quota = limits.limits(of: user)?.quota
        quotaUsed = quota.map { account.used(of: $0, today) } ?? 0
    }
}

/// A source that may not connect for some time.
public struct Ban: Sendable {
    /// An IPv4 address, or the network of an IPv6 address, such as `2001:db8::/64`.
    public let client: String
    public let remaining: Duration
}
