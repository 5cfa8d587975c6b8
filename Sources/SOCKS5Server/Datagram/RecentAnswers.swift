internal import SOCKS5Protocol
internal import Tables

/// The names that datagrams were sent to last, with their answers, so that nobody is asked for each datagram.
///
/// Bounded: one name more takes the place of the one that was used the longest time ago.
struct RecentAnswers {
    private var answers = RecentTable<HostName, (answer: NameAnswer, expiry: UInt64)>(maximum: 8)

    /// - Parameter now: milliseconds on the loop's clock.
    mutating func answer(for name: HostName, now: UInt64) -> NameAnswer? {
        guard let known = answers[name], now < known.expiry else { return nil }
        return known.answer
    }

    /// - Parameter expiry: when the answer isn't good any more, on the same clock.
    mutating func insert(_ answer: NameAnswer, for name: HostName, expiry: UInt64, now: UInt64) {
        if now < expiry { answers[name] = (answer, expiry) }
    }
}
