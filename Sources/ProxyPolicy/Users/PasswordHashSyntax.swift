/// Checks a hash of crypt(5) completely: `crypt_checksalt` examines only its beginning, and a truncated hash would
/// refuse its user for ever.
package enum PasswordHashSyntax {
    package typealias Parsed = (method: PasswordHash.Method, parameter: Int, digestLength: Int)

    package static func parse(_ text: [UInt8]) throws(PasswordHash.Problem) -> Parsed {
        if let rest = text.dropping("$y$") { return try yescrypt(rest) }
        if let rest = text.dropping("$2b$") ?? text.dropping("$2y$") ?? text.dropping("$2a$") {
            return try bcrypt(rest)
        }
        if let rest = text.dropping("$6$") { return try sha512(rest) }
        for (prefix, name) in refused where text.starts(with: prefix.utf8) {
            throw PasswordHash.Problem("a hash of \(name) (\(prefix)), which isn't taken")
        }
        throw PasswordHash.Problem("neither a known hash nor marked {plain}")
    }

    /// Includes the formats that htpasswd(1), openssl-passwd(1) and others write.
    private static let refused = [
        ("$apr1$", "Apache's MD5"), ("$1$", "MD5 crypt"), ("$5$", "sha256-crypt"),
        ("$2x$", "a broken bcrypt"),
        ("$7$", "scrypt"), ("$gy$", "gost-yescrypt"), ("$argon2", "Argon2"), ("$sha1$", "SHA-1 crypt"),
        ("$md5", "Sun's MD5"), ("{SHA}", "SHA-1"), ("{SSHA}", "salted SHA-1"), ("$pbkdf2", "PBKDF2"),
    ]

    /// Whether a text begins like a hash of some kind, and is as long as one.
    static func isLikely(_ text: [UInt8]) -> Bool {
        let prefixes = ["$y$", "$2b$", "$2y$", "$2a$", "$6$"] + refused.map(\.0)
        return text.count >= 20 && prefixes.contains { text.starts(with: $0.utf8) }
    }

    // MARK: - bcrypt

    /// `12$`, 22 characters of salt, 31 of digest.
    private static func bcrypt(_ rest: ArraySlice<UInt8>) throws(PasswordHash.Problem) -> Parsed {
        let parts = rest.split(separator: dollar, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].count == 2, let cost = number(parts[0]), parts[1].count == 53,
            isBase64(parts[1])
        else {
            throw PasswordHash.Problem("a bcrypt hash that isn't complete")
        }
        return try (.bcrypt, bounded(cost, .bcrypt), 31)
    }

    // MARK: - sha512-crypt

    /// Optionally `rounds=N$`, then up to 16 characters of salt, `$`, 86 of digest.
    private static func sha512(_ rest: ArraySlice<UInt8>) throws(PasswordHash.Problem) -> Parsed {
        var parts = rest.split(separator: dollar, omittingEmptySubsequences: false)
        var rounds = 5000
        let mark = Array("rounds=".utf8)
        if parts[0].starts(with: mark) {
            let digits = parts[0].dropFirst(mark.count)
            guard let number = number(digits), digits.first != UInt8(ascii: "0") else {
                throw PasswordHash.Problem("a sha512-crypt hash whose rounds aren't a number")
            }
            rounds = try bounded(number, .sha512)
            parts.removeFirst()
        }
        guard parts.count == 2, (1...16).contains(parts[0].count), parts[1].count == 86, isBase64(parts[1]),
            parts[0].allSatisfy({ (0x21...0x7e).contains($0) && !":;*!\\".utf8.contains($0) })
        else {
            throw PasswordHash.Problem("a sha512-crypt hash that isn't complete")
        }
        return (.sha512, rounds, 86)
    }

    // MARK: - yescrypt

    /// `j`, a character each for N and r, `$`, salt, `$`, 43 characters of digest. No crypt_gensalt(3) writes other
    /// flavours.
    private static func yescrypt(_ rest: ArraySlice<UInt8>) throws(PasswordHash.Problem) -> Parsed {
        let parts = rest.split(separator: dollar, omittingEmptySubsequences: false)
        guard parts.count == 3, isBase64(parts[0]), isYescryptSalt(parts[1]), parts[2].count == 43,
            isBase64(parts[2])
        else {
            throw PasswordHash.Problem("a yescrypt hash that isn't complete")
        }
        let values = parts[0].compactMap(base64Value)
        // 47 is the flavour that crypt_gensalt(3) chooses, and the last value that fits into one character.
        guard values.count == 3, values[0] == 47, values[1] <= 47, values[2] <= 47 else {
            throw PasswordHash.Problem("a yescrypt hash with unusual parameters")
        }
        // It takes 128·r·N bytes of memory; N is a power of 2.
        let (blocks, exponent) = (values[2] + 1, values[1] + 1)
        guard exponent <= 21, blocks << exponent <= 256 << 13 else {
            throw PasswordHash.Problem("a yescrypt hash that takes more than 256 MiB to compute")
        }
        guard exponent >= 6, blocks << exponent >= 1 << 10 else {
            throw PasswordHash.Problem("a yescrypt hash that costs nothing")
        }
        return (.yescrypt, blocks << exponent, 43)
    }

    /// Whole bytes in groups of four characters, the last group of two or three; least significant bits first.
    private static func isYescryptSalt(_ text: ArraySlice<UInt8>) -> Bool {
        guard text.count <= 86, isBase64(text) else { return false }
        guard let last = text.last.flatMap(base64Value) else { return true }
        switch text.count % 4 {
        case 0: return true
        case 2: return last < 1 << 2
        case 3: return last < 1 << 4
        default: return false
        }
    }

    // MARK: - Parts

    private static let dollar = UInt8(ascii: "$")

    private static func bounded(
        _ cost: Int,
        _ method: PasswordHash.Method
    ) throws(PasswordHash.Problem) -> Int {
        guard method.costs.contains(cost) else {
            let (least, most) = (method.costs.lowerBound, method.costs.upperBound)
            throw PasswordHash.Problem("a hash of \(method) with a cost that isn't \(least) to \(most)")
        }
        return cost
    }

    /// Up to nine digits and nothing else.
    private static func number(_ text: ArraySlice<UInt8>) -> Int? {
        guard (1...9).contains(text.count), text.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return text.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    private static func isBase64(_ text: ArraySlice<UInt8>) -> Bool {
        text.allSatisfy { base64Value($0) != nil }
    }

    /// The digits of crypt(5): `./0-9A-Za-z`.
    private static func base64Value(_ character: UInt8) -> Int? {
        switch character {
        case 0x2e...0x39: Int(character) - 0x2e
        case 0x41...0x5a: Int(character) - 0x41 + 12
        case 0x61...0x7a: Int(character) - 0x61 + 38
        default: nil
        }
    }
}

extension [UInt8] {
    /// The bytes after the prefix; `nil` if the prefix is missing.
    fileprivate func dropping(_ prefix: String) -> ArraySlice<UInt8>? {
        starts(with: prefix.utf8) ? dropFirst(prefix.utf8.count) : nil
    }
}
