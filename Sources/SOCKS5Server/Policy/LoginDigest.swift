internal import SOCKS5Protocol

/// Stands for a name and a password where neither should be kept: 128 bits under a key of this process.
///
/// Two of Swift's `Hasher`s, SipHash-1-3, each behind 128 random bits of its own. A keyed function, whose key
/// and results nobody sees but by guessing logins: an attempt passes for another login with 2⁻¹²⁸. A hash
/// without a key would have to be slow, since a copy of the memory would let one try passwords; with it, the
/// copy has the key too, but that is no worse than the passwords of the logins under way. A cryptographic
/// library would be a dependency for this alone.
struct LoginDigest: Hashable, Sendable {
    private let first: Int
    private let second: Int

    /// Random for each table, so that a table's digests end with it.
    struct Key: Sendable {
        private let first: Hasher
        private let second: Hasher

        init() {
            first = Self.seeded()
            second = Self.seeded()
        }

        /// The hasher's own seed isn't relied on: SWIFT_DETERMINISTIC_HASHING makes it a constant.
        private static func seeded() -> Hasher {
            var random = SystemRandomNumberGenerator()
            var hasher = Hasher()
            hasher.combine(random.next() as UInt64)
            hasher.combine(random.next() as UInt64)
            return hasher
        }

        func digest(of credentials: Credentials) -> LoginDigest {
            LoginDigest(first: Self.finish(first, credentials), second: Self.finish(second, credentials))
        }

        /// With the length of the name, so that no name and password run into another pair.
        private static func finish(_ hasher: Hasher, _ credentials: Credentials) -> Int {
            var hasher = hasher
            hasher.combine(credentials.username.count)
            credentials.username.withUnsafeBytes { hasher.combine(bytes: $0) }
            credentials.password.withUnsafeBytes { hasher.combine(bytes: $0) }
            return hasher.finalize()
        }
    }
}
