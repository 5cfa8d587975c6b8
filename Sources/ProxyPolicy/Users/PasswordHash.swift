internal import CCrypt
internal import Glibc

/// A hashed password in the format of crypt(5): yescrypt `$y$`, bcrypt `$2b$` `$2y$` `$2a$`, or sha512-crypt
/// `$6$`.
///
/// A value is always complete and computable. Older kinds, including MD5 and DES, are refused.
public struct PasswordHash: Hashable, Sendable {
    public enum Method: String, CaseIterable, Sendable {
        case yescrypt, bcrypt, sha512
    }

    /// The complete hash as it appears in a file.
    public let text: String
    public var method: Method { cost.method }
    /// The version of libxcrypt that this was built with. libxcrypt doesn't tell its own at run time.
    package static let libraryVersion = XCRYPT_VERSION_STR
    /// Hashes of one cost take one time to compute.
    package let cost: Cost
    /// The characters at the end that depend on the password.
    private let digestLength: Int

    package struct Cost: Hashable {
        let method: Method
        let parameter: Int
    }

    /// - Throws: ``Problem``, which describes the error without showing the text.
    public init(parsing text: String) throws(Problem) {
        let parsed = try PasswordHashSyntax.parse(Array(text.utf8))
        // 3 is CRYPT_SALT_METHOD_LEGACY: still computed for existing hashes, but not recommended for new ones.
        guard crypt_checksalt(text) == CRYPT_SALT_OK else {
            throw Problem("a kind of hash that the system's libcrypt refuses")
        }
        self.text = text
        cost = Cost(method: parsed.method, parameter: parsed.parameter)
        digestLength = parsed.digestLength
    }

    /// Hashes a password with a random salt.
    ///
    /// Takes up to several seconds.
    ///
    /// - Parameters:
    ///   - password: bytes, without a NUL; at most 72 for bcrypt.
    ///   - method: the hash function.
    ///   - cost: as crypt(5) defines it; if `nil`, a cost that suits current machines.
    /// - Throws: ``Problem`` for a password that can't be hashed, or an invalid cost.
    public init(hashing password: [UInt8], method: Method = .yescrypt, cost: Int? = nil) throws(Problem) {
        guard (1...255).contains(password.count) else {
            throw Problem("the password is empty or too long; expected 1 to 255 bytes")
        }
        guard Self.takes(password, method) else {
            throw Problem(
                method == .bcrypt
                    ? "a password with a NUL, or longer than the 72 bytes that bcrypt looks at"
                    : "a password with a NUL"
            )
        }
        let cost = cost ?? method.defaultCost
        guard method.costs.contains(cost) else {
            throw Problem(
                "a cost of \(cost); expected \(method.costs.lowerBound) to \(method.costs.upperBound)"
            )
        }
        var setting = [CChar](repeating: 0, count: Int(CRYPT_GENSALT_OUTPUT_SIZE))
        // If it gets no random bytes, libxcrypt takes them from the kernel (getrandom(2)).
        guard crypt_gensalt_rn(method.prefix, UInt(cost), nil, 0, &setting, CInt(setting.count)) != nil else {
            throw Problem("a kind of hash that the system's libcrypt doesn't make")
        }
        let scratch = Scratch()
        guard let output = scratch.hash(password, setting) else {
            throw Problem("a hash that can't be computed: \(String(cString: strerror(errno)))")
        }
        try self.init(parsing: String(cString: output))
    }

    /// Whether it is the hash of this password. The time depends on neither. For a ``CredentialStore`` that has hashes.
    ///
    /// Blocks for milliseconds to seconds. Call it on a thread of your own, never within ``CredentialStore/verify(_:)``
    /// itself; you decide how many run at once. `nil` if it can't be computed now, for example without memory.
    ///
    /// A NUL would end a password within libcrypt, and bcrypt reads only 72 bytes. Such passwords are refused, at the
    /// same cost, rather than compared in part.
    public func matches(_ password: [UInt8]) -> Bool? { matches(password, Scratch()) }

    /// As above, in existing memory.
    ///
    /// A NUL would end a password within libcrypt, and bcrypt reads only 72 bytes. Such passwords are refused, at the
    /// same cost, rather than compared in part.
    package func matches(_ password: [UInt8], _ scratch: borrowing Scratch) -> Bool? {
        let setting = text.utf8CString
        let output = setting.withUnsafeBufferPointer { scratch.hash(password, Array($0)) }
        guard let output else { return nil }
        let computed = UnsafeBufferPointer(start: output, count: strlen(output)).suffix(digestLength)
        var difference = computed.count ^ digestLength
        for (left, right) in zip(computed, setting.dropLast().suffix(digestLength)) {
            difference |= Int(UInt8(bitPattern: left ^ right))
        }
        return difference == 0 && Self.takes(password, method)
    }

    /// Whether a password looks like a hash. Then it was probably meant to be one.
    package static func isLikely(_ password: [UInt8]) -> Bool { PasswordHashSyntax.isLikely(password) }

    private static func takes(_ password: [UInt8], _ method: Method) -> Bool {
        !password.contains(0) && !(method == .bcrypt && password.count > 72)
    }

    /// The error in a text or a password, without showing it: "a bcrypt hash that …".
    public struct Problem: Error, Sendable, CustomStringConvertible {
        public let description: String

        init(_ description: String) {
            self.description = description
        }
    }

    /// The 32 KiB of memory that libcrypt works in.
    package struct Scratch: ~Copyable {
        private let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: MemoryLayout<crypt_data>.size,
            alignment: MemoryLayout<crypt_data>.alignment
        )

        package init() {
            memory.initializeMemory(as: UInt8.self, repeating: 0)
        }

        /// The text of the hash, valid until the next call; `nil` and errno if it can't be computed.
        func hash(_ password: [UInt8], _ setting: [CChar]) -> UnsafePointer<CChar>? {
            withUnsafeTemporaryAllocation(byteCount: password.count + 1, alignment: 1) { phrase in
                phrase.copyBytes(from: password)
                phrase[password.count] = 0
                defer { erase(phrase) }
                return phrase.withMemoryRebound(to: CChar.self) {
                    UnsafePointer(crypt_rn($0.baseAddress, setting, memory.baseAddress, CInt(memory.count)))
                }
            }
        }

        deinit {
            erase(memory)
            memory.deallocate()
        }
    }
}

extension PasswordHash.Method {
    fileprivate var prefix: String {
        switch self {
        case .yescrypt: "$y$"
        case .bcrypt: "$2b$"
        case .sha512: "$6$"
        }
    }

    /// The allowed costs, as crypt(5) defines them. Higher ones would take longer than a login may, or more than 256
    /// MiB of memory.
    public var costs: ClosedRange<Int> {
        switch self {
        case .yescrypt: 1...9
        case .bcrypt: 4...16
        case .sha512: 1000...10_000_000
        }
    }

    /// yescrypt 15 ms and 16 MiB, bcrypt 0.4 s, sha512-crypt 40 ms, on a core of 2024.
    package var defaultCost: Int {
        switch self {
        case .yescrypt: 5
        case .bcrypt: 12
        case .sha512: 100_000
        }
    }
}

/// Overwrites a secret; unlike a plain write, this isn't optimised away.
package func erase(_ bytes: UnsafeMutableRawBufferPointer) {
    if let base = bytes.baseAddress { explicit_bzero(base, bytes.count) }
}
