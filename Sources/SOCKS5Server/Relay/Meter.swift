internal import ProxyPolicy
internal import UVLoop

/// Limits what one direction of a session may take, and records what it has taken: within the bandwidth of the
/// connection and of its user, which all connections of the user share. It also counts the bytes for the user's quota.
///
/// An empty bucket still grants a portion, dated in the future. So waiting directions get their portions in turn,
/// across all workers, and each waits only for its own time.
///
/// - Isolation: the worker's thread; the account is shared by all.
/// - Ownership: owned by a pipe or an association, from the beginning of its payload.
final class Meter {
    enum Allowance: Equatable {
        /// This many bytes may be taken now.
        case bytes(Int)
        /// Nothing may be taken before this time, in milliseconds on the loop's clock.
        case notBefore(UInt64)
    }

    private unowned let clock: Clock
    private let accounts: AccountTable
    private let direction: Direction
    private let connectionRate: Rate?
    private let userRate: Rate?
    private let quota: Quota?
    private let account: Account?
    private let portion: Int
    private var bucket = TokenBucket()
    private var grant: Grant?

    /// - Parameters:
    ///   - connectionRate: of the connection, in each direction.
    ///   - account: the account with the limits `user`.
    /// - Returns: `nil` if nothing limits the direction. A failable initialiser would allocate before it found that
    ///   out, for each session without limits.
    static func of(
        _ direction: Direction,
        _ clock: Clock,
        _ accounts: AccountTable,
        _ connectionRate: Rate?,
        _ account: Account?,
        _ user: UserBounds?
    ) -> Meter? {
        let isLimited = connectionRate != nil || user?.bandwidth != nil || user?.quota != nil
        return isLimited ? Meter(direction, clock, accounts, connectionRate, account, user) : nil
    }

    private init(
        _ direction: Direction,
        _ clock: Clock,
        _ accounts: AccountTable,
        _ connectionRate: Rate?,
        _ account: Account?,
        _ user: UserBounds?
    ) {
        self.connectionRate = connectionRate
        self.accounts = accounts
        userRate = user?.bandwidth
        quota = user?.quota
        self.clock = clock
        self.direction = direction
        self.account = account
        portion = min(connectionRate?.portion ?? .max, userRate?.portion ?? .max)
    }

    private var now: UInt64 { clock.now &* 1_000_000 }

    /// How much may be taken. Call it only when there is something to take, because waiting takes a place in the queue.
    func allowance() -> Allowance {
        let now = now
        if let grant {
            switch grant.state(now) {
            case .usable: return .bytes(grant.bytes)
            case .early: return wait(for: grant)
            case .lapsed: giveBack()
            }
        }
        if isReady(now) { return .bytes(portion) }
        let grant = Grant(bytes: portion, start: charge(portion, now))
        self.grant = grant
        return grant.start <= now ? .bytes(portion) : wait(for: grant)
    }

    private func wait(for grant: Grant) -> Allowance {
        self.grant?.isAwaited = true
        return .notBefore((grant.start + 999_999) / 1_000_000)
    }

    /// Records bytes that were taken. A datagram can't be divided, so it may exceed the allowance.
    func take(_ bytes: Int) {
        var rest = bytes
        if let held = grant {
            rest = max(0, bytes - held.bytes)
            grant = held.without(bytes, now)
        }
        if rest > 0 { _ = charge(rest, now) }
        guard let quota, let account else { return }
        if account.use(bytes, quota, accounts.today) { accounts.quotaDidEnd(account) }
    }

    /// Whether a datagram may be relayed; if so, it is taken.
    func admits(_ datagram: Int) -> Bool {
        guard case .bytes = allowance() else {
            // A dropped datagram doesn't return for its portion.
            grant?.isAwaited = false
            return false
        }
        take(datagram)
        return true
    }

    /// Nothing more will be taken.
    func giveBack() {
        guard let grant else { return }
        self.grant = nil
        if let connectionRate { bucket.giveBack(connectionRate.cost(of: grant.bytes)) }
        if let userRate { account?.giveBack(userRate.cost(of: grant.bytes), direction) }
    }

    /// Tells the pipe when it may read again.
    func wake(_ pipe: Pipe, at time: UInt64) {
        clock.wake(pipe, at: time)
    }

    private func isReady(_ now: UInt64) -> Bool {
        (connectionRate == nil || bucket.isReady(now))
            && (userRate == nil || account?.isReady(direction, now) ?? true)
    }

    /// - Returns: when the bytes may be used.
    private func charge(_ bytes: Int, _ now: UInt64) -> UInt64 {
        var start: UInt64 = 0
        if let connectionRate {
            start = bucket.take(connectionRate.cost(of: bytes), now: now, credit: Rate.credit)
        }
        if let userRate, let account {
            start = max(start, account.take(userRate.cost(of: bytes), direction, now))
        }
        return start
    }
}

/// Bytes that are paid for in all buckets. Pure; times are nanoseconds on the loop's clock.
struct Grant {
    enum State {
        case early, usable
        /// The portion has expired, because portions can't be saved up.
        case lapsed
    }

    let bytes: Int
    /// When they may be used.
    let start: UInt64
    /// A waiting direction may be late: a busy worker must not lose its place in the queue.
    var isAwaited = false

    func state(_ now: UInt64) -> State {
        if start > now { return .early }
        return isAwaited || now - start <= Rate.credit ? .usable : .lapsed
    }

    /// The rest after this many bytes are taken; `nil` if nothing is left.
    func without(_ taken: Int, _ now: UInt64) -> Grant? {
        taken < bytes ? Grant(bytes: bytes - taken, start: isAwaited ? max(start, now) : start) : nil
    }
}
