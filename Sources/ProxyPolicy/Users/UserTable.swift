internal import Locks
package import SOCKS5Protocol

/// Computes a hash outside the worker threads, for a source that takes turns with others. `nil` if it wasn't computed:
/// too many are waiting, the task was cancelled, or memory is short.
package typealias HashComputation = @Sendable (HashWork, ClientSource) async -> Bool?

/// The built-in credential store: the users of ``Configuration/users``.
///
/// A wrong password and an unknown user take the same time. Among plain passwords, each check compares as many bytes as
/// RFC 1929 allows. If there are hashes, every failure computes one, with the cost that most users have.
package final class UserTable: CredentialStore {
    private enum Secret {
        case plain(PaddedPassword)
        /// A hash, and the index of its last success in ``successes``.
        case hash(PasswordHash, Int)
    }

    private let secrets: [[UInt8]: Secret]
    private let terms: LoginTerms
    /// The hash that is computed for users without one.
    private let decoy: PasswordHash?
    private let nobody = PaddedPassword([])
    private let compute: HashComputation
    /// The last successful login of each user with a hash: repeating it costs no hash. Bounded, since a user has only
    /// one correct password, and gone together with the table.
    private let successes: Guarded<[LoginDigest?]>
    private let key: LoginDigest.Key

    /// - Parameter previous: its successes are kept for users whose hash is unchanged, so that not everyone's hash is
    ///   computed again after a reload.
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

    /// Whether there is a user with this name who may log in now and from this address.
    package func admits(_ user: [UInt8], from client: Peer) -> Bool {
        secrets[user] != nil && terms.admit(user, from: client)
    }

    private func refuse(_ login: Login) -> LoginAnswer {
        guard let decoy else { return .now(.refused) }
        return verdict(decoy, login, key.digest(of: login.credentials, against: decoy), for: nil)
    }

    /// - Parameter place: the user's index; if `nil`, the login is refused regardless of the result.
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

/// A password, padded so that the time of a comparison doesn't reveal its length. An empty one matches nothing.
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
