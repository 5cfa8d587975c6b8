internal import Locks
internal import Synchronization

/// The usage of the server by a user, over all workers.
package final class Account: Sendable {
    fileprivate struct State {
        var connections = 0
        var usage = QuotaUsage()
        /// The quota that was last reported as used up, until a period has room again.
        var reported: Quota?
        /// Indexed by ``Direction``.
        var buckets = InlineArray<2, TokenBucket>(repeating: TokenBucket())
    }

    fileprivate let state: Guarded<State>
    /// Lock-free copies, for readers that must not delay a worker: bytes of the last period in which the quota was
    /// used, and the first second of that period.
    private let used = Atomic<Int>(0)
    private let periodBegan = Atomic<Int>(.min)
    package let activity: UserActivity
    /// Whether it is kept for metrics of its own.
    fileprivate let isNamed: Bool

    /// - Parameter group: the activity of all users without metrics of their own.
    fileprivate init(_ usage: QuotaUsage = QuotaUsage(), in group: UserActivity?) {
        state = Guarded(State(usage: usage))
        activity = UserActivity(in: group)
        isNamed = group == nil
        publish(usage.latest)
    }

    private func publish(_ record: QuotaUsage.Record?) {
        guard let record else { return }
        used.store(record.bytes, ordering: .relaxed)
        periodBegan.store(record.first.seconds, ordering: .relaxed)
    }

    /// The bytes used of a quota in its period. Takes no lock, so it may be out of date for a moment when a period
    /// begins.
    package func used(of quota: Quota, _ today: UTCDay) -> Int {
        let isCurrent = periodBegan.load(ordering: .relaxed) >= quota.period.first(of: today).seconds
        return isCurrent ? used.load(ordering: .relaxed) : 0
    }

    package func isReady(_ direction: Direction, _ now: UInt64) -> Bool {
        state.withLock { $0.buckets[direction.rawValue].isReady(now) }
    }

    /// See ``TokenBucket/take(_:now:credit:)``.
    package func take(_ cost: UInt64, _ direction: Direction, _ now: UInt64) -> UInt64 {
        state.withLock { $0.buckets[direction.rawValue].take(cost, now: now, credit: Rate.credit) }
    }

    package func giveBack(_ cost: UInt64, _ direction: Direction) {
        state.withLock { $0.buckets[direction.rawValue].giveBack(cost) }
    }

    package func hasUsedUp(_ quota: Quota, _ today: UTCDay) -> Bool {
        state.withLock { $0.usage.isUsedUp(quota, today) }
    }

    /// Uses some bytes of the quota.
    ///
    /// - Returns: whether it is used up, reported to only one caller: that report also ends the sessions of the others.
    package func use(_ bytes: Int, _ quota: Quota, _ today: UTCDay) -> Bool {
        state.withLock { state in
            let isUsedUp = state.usage.add(bytes, quota, today)
            publish(state.usage.active)
            if isUsedUp == (state.reported == quota) { return false }
            state.reported = isUsedUp ? quota : nil
            return isUsedUp
        }
    }

    fileprivate func resetQuota() {
        state.withLock { state in
            state.usage = QuotaUsage()
            state.reported = nil
            used.store(0, ordering: .relaxed)
        }
    }

    /// Whether a new account would be equal to this one.
    ///
    /// - Parameter now: nanoseconds on the loops' clock.
    fileprivate func isIdle(_ now: UInt64, _ today: UTCDay) -> Bool {
        state.withLock { state in
            !isNamed && state.connections == 0 && state.usage.isOver(today) && state.buckets[0].isReady(now)
                && state.buckets[1].isReady(now)
        }
    }

    /// A session has ended.
    package func leave() {
        state.withLock { $0.connections -= 1 }
        activity.leave()
    }
}

/// The accounts of all users that are using the server, or have used it recently.
package final class AccountTable: Sendable {
    private struct Contents {
        var accounts: [[UInt8]: Account] = [:]
        var named: [(name: [UInt8], account: Account)] = []
        /// The number of accounts at which unused ones are searched for and removed. It is twice the number in use
        /// after the last search, so that the cost per account is constant.
        var sweepAt = 1024

        mutating func account(
            of name: [UInt8],
            in others: UserActivity,
            _ now: UInt64,
            _ today: UTCDay
        ) -> Account {
            if let account = accounts[name] { return account }
            if accounts.count >= sweepAt {
                accounts = accounts.filter { !$0.value.isIdle(now, today) }
                sweepAt = max(1024, 2 * accounts.count)
            }
            let account = Account(in: others)
            accounts[name] = account
            return account
        }
    }

    /// The most users with metrics of their own.
    package static let mostNamed = 1000

    private let contents = Guarded(Contents())
    /// All users without metrics of their own.
    package let others = UserActivity()
    private let clock: @Sendable () -> UTCDay
    /// Called with an account whose quota is used up, on the thread where that happens.
    package let quotaDidEnd: @Sendable (Account) -> Void

    package init(
        clock: @escaping @Sendable () -> UTCDay = { UTCDay.today() },
        quotaDidEnd: @escaping @Sendable (Account) -> Void
    ) {
        self.clock = clock
        self.quotaDidEnd = quotaDidEnd
    }

    package var today: UTCDay { clock() }

    package var count: Int { contents.withLock { $0.accounts.count } }

    /// Loads the users' usage from the last run of the server. Call it before there are accounts.
    package func restore(_ usages: [[UInt8]: QuotaUsage]) {
        contents.withLock { contents in
            for (name, usage) in usages { contents.accounts[name] = Account(usage, in: others) }
        }
    }

    /// Gives users metrics of their own, in order, while there is room. A counter stays when its user is removed, and
    /// is never given to another user. Users that are connected at that moment are still counted among the others.
    package func name(_ users: some Sequence<[UInt8]>) {
        contents.withLock { contents in
            for name in users {
                if contents.named.count == Self.mostNamed { return }
                let known = contents.accounts[name]
                if let known, known.isNamed { continue }
                let usage = known.map { account in
                    account.state.withLock { (isFree: $0.connections == 0, usage: $0.usage) }
                }
                if usage?.isFree == false { continue }
                let account = Account(usage?.usage ?? QuotaUsage(), in: nil)
                contents.accounts[name] = account
                contents.named.append((name, account))
            }
        }
    }

    /// Users with metrics of their own, in the order in which they got them.
    package var named: [(name: [UInt8], account: Account)] { contents.withLock { $0.named } }

    /// All known users, in no order.
    package var all: [(name: [UInt8], account: Account)] {
        contents.withLock { $0.accounts }.map { (name: $0.key, account: $0.value) }
    }

    /// - Returns: `nil` if the user has no account.
    package func account(of name: [UInt8]) -> Account? { contents.withLock { $0.accounts[name] } }

    /// The usage of all users.
    package func usages() -> [(name: [UInt8], usage: QuotaUsage)] {
        let accounts = contents.withLock { $0.accounts }
        return accounts.map { name, account in (name, account.state.withLock { $0.usage }) }
    }

    /// Sets the usage of a user's quota to nothing.
    ///
    /// - Returns: false if the user has no account.
    package func reset(_ name: [UInt8]) -> Bool {
        let account = account(of: name)
        account?.resetQuota()
        return account != nil
    }

    /// Takes one of the user's places for a session; ``Account/leave()`` gives it back.
    ///
    /// - Parameters:
    ///   - limits: `nil` if the user has no limits.
    ///   - now: milliseconds on the loops' clock.
    /// - Throws: the limit that it would exceed; then nothing is taken.
    package func enter(_ name: [UInt8], _ limits: UserBounds?, now: UInt64) throws(LimitRefusal) -> Account {
        let today = today
        return try contents.withLock { contents throws(LimitRefusal) in
            let account = contents.account(of: name, in: others, now &* 1_000_000, today)
            let refusal: LimitRefusal? = account.state.withLock { state in
                if let limits, state.connections >= limits.connections { return .connectionsPerUser }
                if let quota = limits?.quota, state.usage.isUsedUp(quota, today) { return .quotaPerUser }
                state.connections += 1
                return nil
            }
            if let refusal { throw refusal }
            account.activity.enter()
            return account
        }
    }
}
