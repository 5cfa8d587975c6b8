internal import SOCKS5Protocol
internal import Tables

/// The names that datagrams were recently sent to, with their answers, so that not every datagram needs a query.
///
/// Bounded: a new name replaces the least recently used one.
struct RecentAnswers {
    private var answers = RecentTable<HostName, (answer: NameAnswer, expiry: UInt64)>(maximum: 8)

    /// - Parameter now: milliseconds on the loop's clock.
    mutating func answer(for name: HostName, now: UInt64) -> NameAnswer? {
        guard let known = answers[name], now < known.expiry else { return nil }
        return known.answer
    }

    /// - Parameter expiry: when the answer expires, on the same clock.
    mutating func insert(_ answer: NameAnswer, for name: HostName, expiry: UInt64, now: UInt64) {
        if now < expiry { answers[name] = (answer, expiry) }
    }
}
