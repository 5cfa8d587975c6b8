internal import Locks

/// What a user has of the server, over all workers.
package final class Account: Sendable {
    fileprivate struct State {
        var connections = 0
        var usage = QuotaUsage()
        /// The quota whose end was reported last, until a period has room again.
        var reported: Quota?
        /// By ``Direction``.
        var buckets = InlineArray<2, TokenBucket>(repeating: TokenBucket())
    }

    fileprivate let state: Guarded<State>

    fileprivate init(_ usage: QuotaUsage = QuotaUsage()) {
        state = Guarded(State(usage: usage))
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
    /// - Returns: whether it is used up, to one of all that use it: the others' sessions end by the same report.
    package func use(_ bytes: Int, _ quota: Quota, _ today: UTCDay) -> Bool {
        state.withLock { state in
            let isUsedUp = state.usage.add(bytes, quota, today)
            if isUsedUp == (state.reported == quota) { return false }
            state.reported = isUsedUp ? quota : nil
            return isUsedUp
        }
    }

    /// Whether a new account would be the same.
    ///
    /// - Parameter now: nanoseconds on the loops' clock.
    fileprivate func isIdle(_ now: UInt64, _ today: UTCDay) -> Bool {
        state.withLock { state in
            state.connections == 0 && state.usage.isOver(today) && state.buckets[0].isReady(now)
                && state.buckets[1].isReady(now)
        }
    }

    /// A session has ended.
    package func leave() {
        state.withLock { $0.connections -= 1 }
    }
}

/// The accounts of the users who have something of the server, or have had so lately.
package final class AccountTable: Sendable {
    private struct Contents {
        var accounts: [[UInt8]: Account] = [:]
        /// With so many, those that nobody needs any longer are looked for. Twice as many as were needed last time:
        /// so each costs its share of one look.
        var sweepAt = 1024

        mutating func account(of name: [UInt8], _ now: UInt64, _ today: UTCDay) -> Account {
            if let account = accounts[name] { return account }
            if accounts.count >= sweepAt {
                accounts = accounts.filter { !$0.value.isIdle(now, today) }
                sweepAt = max(1024, 2 * accounts.count)
            }
            let account = Account()
            accounts[name] = account
            return account
        }
    }

    private let contents = Guarded(Contents())
    private let clock: @Sendable () -> UTCDay
    /// Told of an account whose quota is used up, by the thread in which that happens.
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

    /// Before there are any: what users had used when the server last ran.
    package func restore(_ usages: [[UInt8]: QuotaUsage]) {
        contents.withLock { contents in
            for (name, usage) in usages { contents.accounts[name] = Account(usage) }
        }
    }

    /// What users have used.
    package func usages() -> [(name: [UInt8], usage: QuotaUsage)] {
        let accounts = contents.withLock { $0.accounts }
        return accounts.map { name, account in (name, account.state.withLock { $0.usage }) }
    }

    /// Takes a user's place for a session; ``Account/leave()`` gives it back.
    ///
    /// - Parameter now: milliseconds on the loops' clock.
    /// - Throws: the limit that it would exceed; then nothing is taken.
    package func enter(_ name: [UInt8], _ limits: UserBounds, now: UInt64) throws(LimitRefusal) -> Account {
        let today = today
        return try contents.withLock { contents throws(LimitRefusal) in
            let account = contents.account(of: name, now &* 1_000_000, today)
            let refusal: LimitRefusal? = account.state.withLock { state in
                if state.connections >= limits.connections { return .connectionsPerUser }
                if let quota = limits.quota, state.usage.isUsedUp(quota, today) { return .quotaPerUser }
                state.connections += 1
                return nil
            }
            if let refusal { throw refusal }
            return account
        }
    }
}
