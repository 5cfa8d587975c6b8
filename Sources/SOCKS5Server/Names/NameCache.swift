internal import ProxyPolicy
internal import Tables
internal import UVLoop

/// The addresses of a name, or why there are none.
typealias NameAnswer = Result<[SocketAddress], UVError>

/// Answers that are still good.
///
/// getaddrinfo(3) tells no TTL, so that all answers of a kind live equally long. Bounded: the answer that came first
/// goes first, however often it is asked for.
struct NameCache {
    private struct Entry {
        let answer: NameAnswer
        let expiry: UInt64
    }

    private let hitLifetime: UInt64
    private let missLifetime: UInt64
    /// `nil`: nothing is kept.
    private var entries: RecentTable<String, Entry>?

    init(_ settings: Configuration.Resolver) {
        hitLifetime = settings.hitLifetime.milliseconds
        missLifetime = settings.missLifetime.milliseconds
        if settings.cachedNames > 0 { entries = RecentTable(maximum: settings.cachedNames) }
    }

    /// The answer, and the time at which it isn't good any more.
    func answer(to name: String, now: UInt64) -> (answer: NameAnswer, expiry: UInt64)? {
        guard let entry = entries?.peek(name), now < entry.expiry else { return nil }
        return (entry.answer, entry.expiry)
    }

    /// Forgets the answer that is good until then; one that has come since stays.
    mutating func forget(_ name: String, goodUntil expiry: UInt64) {
        if entries?.peek(name)?.expiry == expiry { entries?[name] = nil }
    }

    /// - Returns: how many there were.
    mutating func removeAll() -> Int {
        defer { entries?.removeAll() }
        return entries?.count ?? 0
    }

    /// Keeps what the name's servers have said; not what failed on this machine.
    mutating func insert(_ answer: NameAnswer, for name: String, now: UInt64) {
        let lifetime =
            switch answer {
            case .success: hitLifetime
            case .failure(.nameNotFound), .failure(.nameHasNoAddress), .failure(.lookupFailed),
                .failure(.lookupTemporaryFailure):
                missLifetime
            case .failure: 0 as UInt64
            }
        guard lifetime > 0 else { return }
        entries?[name] = Entry(answer: answer, expiry: now &+ lifetime)
    }
}
