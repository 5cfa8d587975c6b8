internal import ProxyPolicy
internal import UVLoop

/// The addresses of a name, or why there are none.
typealias NameAnswer = Result<[SocketAddress], UVError>

/// Answers that are still good.
///
/// getaddrinfo(3) tells no TTL, so that all answers of a kind live equally long. Bounded: the name that was put in
/// first goes first. Everything is O(1).
struct NameCache {
    private struct Entry {
        let answer: NameAnswer
        let expiry: UInt64
        /// Where the name stands in `ring`.
        let place: Int
    }

    private let hitLifetime: UInt64
    private let missLifetime: UInt64
    private let limit: Int
    private var entries: [String: Entry] = [:]
    /// The names in the order of insertion; one that was inserted again leaves its first place stale.
    private var ring: [String] = []
    private var oldest = 0

    init(_ settings: Configuration.Resolver) {
        hitLifetime = settings.hitLifetime.milliseconds
        missLifetime = settings.missLifetime.milliseconds
        limit = settings.cachedNames
    }

    /// The answer, and the time at which it isn't good any more.
    func answer(to name: String, now: UInt64) -> (answer: NameAnswer, expiry: UInt64)? {
        guard let entry = entries[name], now < entry.expiry else { return nil }
        return (entry.answer, entry.expiry)
    }

    /// Forgets the answer that is good until then; one that has come since stays.
    mutating func forget(_ name: String, goodUntil expiry: UInt64) {
        if entries[name]?.expiry == expiry { entries[name] = nil }
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
        guard lifetime > 0, limit > 0 else { return }
        let place = nextPlace()
        ring[place] = name
        entries[name] = Entry(answer: answer, expiry: now &+ lifetime, place: place)
    }

    private mutating func nextPlace() -> Int {
        if ring.count < limit {
            ring.append("")
            return ring.count - 1
        }
        let place = oldest
        oldest = (oldest + 1) % limit
        if entries[ring[place]]?.place == place { entries[ring[place]] = nil }
        return place
    }
}
