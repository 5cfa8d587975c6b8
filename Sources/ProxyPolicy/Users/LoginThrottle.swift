internal import Tables

/// How failed logins of a source are answered.
///
/// Only failures count: a correct login is neither refused nor delayed. Pure; `now` is in milliseconds of the loops'
/// clock, the same on all threads.
package struct LoginThrottle {
    /// After this many failures within this time, further ones are answered late.
    private static let failures = 10
    private static let window: UInt64 = 60_000
    /// The most sources that are remembered; the one whose last failure is oldest is dropped first.
    package static let maximumSources = 8192

    package enum Answer {
        case atOnce, late
        /// Answered late, and no connections of this source from now on.
        case banned
    }

    private struct History {
        /// The times of the last failures; once it is full, a ring that starts at `next`.
        var times: [UInt64] = []
        var next = 0
        var bannedUntil: UInt64 = 0

        mutating func append(_ time: UInt64) {
            if times.count < LoginBan.mostFailures {
                times.append(time)
            } else {
                times[next] = time
                next = (next + 1) % times.count
            }
        }

        /// Whether the last `count` failures all happened within `window`.
        func has(_ count: Int, within window: UInt64, _ now: UInt64) -> Bool {
            guard times.count >= count else { return false }
            let oldest = times[(next + times.count - count) % times.count]
            // Another worker's clock may be ahead by a turn.
            return now < oldest || now - oldest < window
        }
    }

    /// When sources are banned. May be changed during bans.
    package var ban: LoginBan?
    private var histories = RecentTable<ClientSource, History>(maximum: maximumSources)

    private var lastBanEnd: UInt64 = 0

    package init(_ ban: LoginBan?) {
        self.ban = ban
    }

    /// A login of the source has failed.
    package mutating func noteFailure(of source: ClientSource, now: UInt64) -> Answer {
        var history = histories[source] ?? History()
        defer { histories[source] = history }
        let isLate = history.has(Self.failures, within: Self.window, now)
        history.append(now)
        if let ban, history.bannedUntil <= now,
            history.has(ban.failures, within: ban.window.milliseconds, now)
        {
            history.bannedUntil = now &+ ban.duration.milliseconds
            lastBanEnd = max(lastBanEnd, history.bannedUntil)
            return .banned
        }
        return isLate ? .late : .atOnce
    }

    /// The number of banned sources.
    package func bans(now: UInt64) -> Int { banned(now: now).count }

    /// The banned sources, each with the time at which its ban ends. O(n) in the remembered sources, if there was a ban
    /// recently.
    package func banned(now: UInt64) -> [(source: ClientSource, end: UInt64)] {
        guard ban != nil, lastBanEnd > now else { return [] }
        var banned: [(source: ClientSource, end: UInt64)] = []
        histories.forEach { source, history in
            if history.bannedUntil > now { banned.append((source, history.bannedUntil)) }
        }
        return banned
    }

    /// Treats the source as if it had never failed.
    package mutating func forget(_ source: ClientSource) {
        histories[source] = nil
    }

    package func isBanned(_ source: ClientSource, now: UInt64) -> Bool {
        ban != nil && histories.peek(source).map { $0.bannedUntil > now } ?? false
    }
}
