internal import SOCKS5Protocol

/// Stands for a name, a password and the hash that they are checked against, where none should be kept: 128 bits
/// under a key of this process. What is found out about a login ends with the hash, as by a reload.
///
/// Two of Swift's `Hasher`s, SipHash-1-3, each behind 128 random bits of its own. A keyed function, whose key
/// and results nobody sees but by guessing logins: an attempt passes for another login with 2⁻¹²⁸. A hash
/// without a key would have to be slow, since a copy of the memory would let one try passwords; with it, the
/// copy has the key too, but that is no worse than the passwords of the logins under way. A cryptographic
/// library would be a dependency for this alone.
package struct LoginDigest: Hashable, Sendable {
    private let first: Int
    private let second: Int

    /// Random for each table, so that a table's digests end with it.
    package struct Key: Sendable {
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

        func digest(of credentials: Credentials, against hash: PasswordHash) -> LoginDigest {
            LoginDigest(
                first: Self.finish(first, credentials, hash),
                second: Self.finish(second, credentials, hash)
            )
        }

        /// With the lengths, so that no name, password and hash run into others.
        private static func finish(_ hasher: Hasher, _ credentials: Credentials, _ hash: PasswordHash) -> Int
        {
            var hasher = hasher
            hasher.combine(credentials.username.count)
            hasher.combine(credentials.password.count)
            credentials.username.withUnsafeBytes { hasher.combine(bytes: $0) }
            credentials.password.withBytes { $0.withUnsafeBytes { hasher.combine(bytes: $0) } }
            hasher.combine(hash.text)
            return hasher.finalize()
        }
    }
}
