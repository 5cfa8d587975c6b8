internal import ProxyPolicy
internal import Tables
internal import UVLoop

/// The addresses of a name, or the error if there are none.
typealias NameAnswer = Result<[SocketAddress], UVError>

/// A cache of answers that haven't expired.
///
/// getaddrinfo(3) reports no TTL, so all answers of a kind have the same lifetime. Bounded: the oldest answer is
/// replaced first, regardless of how often it is used.
struct NameCache {
    private struct Entry {
        let answer: NameAnswer
        let expiry: UInt64
    }

    private let hitLifetime: UInt64
    private let missLifetime: UInt64
    /// `nil` if nothing is cached.
    private var entries: RecentTable<String, Entry>?

    init(_ settings: Configuration.Resolver) {
        hitLifetime = settings.hitLifetime.milliseconds
        missLifetime = settings.missLifetime.milliseconds
        if settings.cachedNames > 0 { entries = RecentTable(maximum: settings.cachedNames) }
    }

    /// The answer, and the time at which it expires.
    func answer(to name: String, now: UInt64) -> (answer: NameAnswer, expiry: UInt64)? {
        guard let entry = entries?.peek(name), now < entry.expiry else { return nil }
        return (entry.answer, entry.expiry)
    }

    /// Forgets the answer that expires at this time; a newer one stays.
    mutating func forget(_ name: String, goodUntil expiry: UInt64) {
        if entries?.peek(name)?.expiry == expiry { entries?[name] = nil }
    }

    /// - Returns: the number of answers.
    mutating func removeAll() -> Int {
        defer { entries?.removeAll() }
        return entries?.count ?? 0
    }

    /// Caches answers of the name's servers, but not failures on this machine.
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
