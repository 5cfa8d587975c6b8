internal import Locks
package import SOCKS5Protocol

/// Computes a hash beside the workers, for a source that takes its turn with others. `nil`: nobody has looked, since too
/// many wait, the task was cancelled, or memory is short.
package typealias HashComputation = @Sendable (HashWork, ClientSource) async -> Bool?

/// The built-in credential store: the users of ``Configuration/users``.
///
/// A wrong password and an unknown user take the same time: among plain passwords, each check compares as many
/// bytes as RFC 1929 allows; where there is a hash, every failure costs one, of the cost that most users have.
package final class UserTable: CredentialStore {
    private enum Secret {
        case plain(PaddedPassword)
        /// With the place of the last success in ``successes``.
        case hash(PasswordHash, Int)
    }

    private let secrets: [[UInt8]: Secret]
    private let terms: LoginTerms
    /// What is computed for those who have no hash.
    private let decoy: PasswordHash?
    private let nobody = PaddedPassword([])
    private let compute: HashComputation
    /// The login that last succeeded, of each user with a hash: its next one costs no hash. A user has one
    /// right password, so that this is bounded by the users, and ends with the table.
    private let successes: Guarded<[LoginDigest?]>
    private let key: LoginDigest.Key

    /// - Parameter previous: whose successes are kept, of users whose hash is the same: a reload doesn't let everyone
    ///   compute theirs again.
    package init(
        _ users: [ProxyUser],
        _ compute: @escaping HashComputation,
        replacing previous: UserTable? = nil,
        terms: LoginTerms? = nil
    ) {
        var secrets: [[UInt8]: Secret] = [:]
        var hashes: [PasswordHash] = []
        var digests: [LoginDigest?] = []
        let known = previous?.successes.withLock { $0 } ?? []
        for user in users {
            switch user.secret {
            case .plain(let password):
                secrets[user.name] = .plain(PaddedPassword(password))
            case .hash(let hash):
                secrets[user.name] = .hash(hash, hashes.count)
                hashes.append(hash)
                if case .hash(hash, let place)? = previous?.secrets[user.name] {
                    digests.append(known[place])
                } else {
                    digests.append(nil)
                }
            }
        }
        self.secrets = secrets
        self.terms = terms ?? LoginTerms(users)
        self.compute = compute
        decoy = Dictionary(grouping: hashes, by: \.cost).values.max { $0.count < $1.count }?.first
        successes = Guarded(digests)
        key = previous?.key ?? LoginDigest.Key()
    }

    package func verify(_ login: Login) -> LoginAnswer {
        let isAdmitted = terms.admit(login.credentials.username, from: login.client)
        switch secrets[login.credentials.username] {
        case .plain(let password):
            let isRight = password.matches(login.credentials.password)
            return isRight && isAdmitted ? .now(.accepted) : refuse(login)
        case .hash(let hash, let place):
            let digest = key.digest(of: login.credentials, against: hash)
            if isAdmitted && successes.withLock({ $0[place] == digest }) { return .now(.accepted) }
            return verdict(hash, login, digest, for: isAdmitted ? place : nil)
        case nil:
            _ = nobody.matches(login.credentials.password)
            return refuse(login)
        }
    }

    package func has(_ user: [UInt8]) -> Bool { secrets[user] != nil }

    /// Whether there is such a user, who may log in now and from this address.
    package func admits(_ user: [UInt8], from client: Peer) -> Bool {
        secrets[user] != nil && terms.admit(user, from: client)
    }

    private func refuse(_ login: Login) -> LoginAnswer {
        guard let decoy else { return .now(.refused) }
        return verdict(decoy, login, key.digest(of: login.credentials, against: decoy), for: nil)
    }

    /// - Parameter place: of the user; `nil`: it is refused, whatever the result.
    private func verdict(
        _ hash: PasswordHash,
        _ login: Login,
        _ digest: LoginDigest,
        for place: Int?
    ) -> LoginAnswer {
        let work = HashWork(id: digest, hash: hash, password: login.credentials.password)
        let source = ClientSource(login.client)
        return .later { [self] in
            switch await compute(work, source) {
            case true:
                guard let place else { return .refused }
                successes.withLock { $0[place] = digest }
                return .accepted
            case false:
                return .refused
            case nil:
                return .unavailable
            }
        }
    }
}

/// A password, padded, so that its length doesn't show in the time that a comparison takes. Empty: matches
/// none.
private struct PaddedPassword: Sendable {
    private static let longest = 255

    private let bytes: [UInt8]
    private let count: Int

    init(_ password: [UInt8]) {
        count = password.count
        bytes = password + [UInt8](repeating: 0, count: max(0, Self.longest - count))
    }

    func matches(_ other: Password) -> Bool {
        other.withBytes { other in
            var difference = count ^ other.count
            for index in 0..<Self.longest {
                difference |= Int(bytes[index] ^ (index < other.count ? other[index] : 0))
            }
            return difference == 0 && count > 0
        }
    }
}
