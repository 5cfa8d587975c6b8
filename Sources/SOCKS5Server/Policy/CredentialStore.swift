internal import SOCKS5Protocol

/// The users who may log in.
///
/// A wrong password and an unknown user take the same time, and so does every wrong password: each check
/// compares as many bytes as RFC 1929 allows.
struct CredentialStore: Sendable {
    private static let longest = 255

    /// A password, padded, so that its length doesn't show in the time that a comparison takes.
    private struct Secret: Sendable {
        private var bytes = [UInt8](repeating: 0, count: longest)
        private let count: Int

        init(_ password: [UInt8]) {
            count = password.count
            for (index, byte) in password.prefix(longest).enumerated() { bytes[index] = byte }
        }

        func matches(_ other: Secret) -> Bool {
            var difference = count ^ other.count
            for index in 0..<longest { difference |= Int(bytes[index] ^ other.bytes[index]) }
            return difference == 0
        }
    }

    private var secrets: [[UInt8]: Secret] = [:]
    private let nobody = Secret([])

    init(_ users: [Configuration.User]) {
        for user in users { secrets[user.name] = Secret(user.password) }
    }

    var isEmpty: Bool { secrets.isEmpty }

    func accepts(_ credentials: Credentials) -> Bool {
        let known = secrets[credentials.username]
        let matches = (known ?? nobody).matches(Secret(credentials.password))
        return matches && known != nil && !credentials.password.isEmpty
    }
}
