internal import SOCKS5Protocol

/// A digest of a name, a password and the hash that they are checked against, so that none of them needs to be kept:
/// 128 bits, under a key of this process. It covers the hash, so a result is forgotten when a reload changes the hash.
///
/// Two of Swift's `Hasher`s, SipHash-1-3, each keyed with its own 128 random bits. Nobody sees the key or results, so
/// an attacker can only guess logins: a guess collides with another login with probability 2⁻¹²⁸. A hash without a key
/// would have to be slow, since passwords could be tried against a copy of the memory. With a key, the copy contains
/// the key too, but that is no worse than the passwords of current logins. A cryptographic library would be a
/// dependency for this alone.
package struct LoginDigest: Hashable, Sendable {
    private let first: Int
    private let second: Int

    /// Random for each table, so that a table's digests become useless together with it.
    package struct Key: Sendable {
        private let first: Hasher
        private let second: Hasher

        init() {
            first = Self.seeded()
            second = Self.seeded()
        }

        /// Doesn't rely on the hasher's own seed: SWIFT_DETERMINISTIC_HASHING makes it a constant.
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

        /// Includes the lengths, so that different names, passwords and hashes never give the same bytes.
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
