public import SOCKS5Protocol

/// Decides who may log in (RFC 1929). The built-in one uses ``Configuration/users``; set your own as
/// ``Configuration/credentialStore``.
///
/// ```swift
/// struct Accounts: CredentialStore {
///     let database: Database
///
///     func verify(_ login: Login) -> LoginAnswer {
///         .later { try await database.holds(login.username, login.password) ? .accepted : .refused }
///     }
/// }
/// ```
public protocol CredentialStore: Sendable {
    /// Called on the worker threads, several at once, for each login. It must not block: if the check takes longer than
    /// some microseconds, return ``LoginAnswer/later(_:)``.
    func verify(_ login: Login) -> LoginAnswer

    /// Returns the users that may not continue their sessions, such as removed ones. Called once by each
    /// ``ProxyServer/endRefused()``, and by nothing else. The default returns none. It may take time.
    ///
    /// - Parameter users: the names, as bytes, of all users with a session.
    func revoked(among users: Set<[UInt8]>) async -> Set<[UInt8]>
}

extension CredentialStore {
    public func revoked(among users: Set<[UInt8]>) async -> Set<[UInt8]> { [] }
}

/// Username and password as a client has sent them: 0 to 255 arbitrary bytes each. Descriptions and mirrors don't show
/// the password.
public struct Login: Sendable {
    package let credentials: Credentials
    public let client: Peer

    public init(username: [UInt8], password: [UInt8], client: Peer) {
        self.init(credentials: Credentials(username: username, password: password), client: client)
    }

    package init(credentials: Credentials, client: Peer) {
        self.credentials = credentials
        self.client = client
    }

    public var username: [UInt8] { credentials.username }
    /// A copy. The original is overwritten when the login has been answered.
    public var password: [UInt8] { credentials.password.bytes }
}

/// The answer of a ``CredentialStore`` to a login.
public enum LoginAnswer: Sendable {
    case now(LoginVerdict)
    /// Runs as a task of its own. It is cancelled when the client leaves or the time limit of the handshake is over. An
    /// error counts as ``LoginVerdict/unavailable``.
    case later(@Sendable () async throws -> LoginVerdict)
}

public enum LoginVerdict: Sendable, Equatable {
    /// Accepted, with the terms that apply to everyone.
    case accepted
    /// Accepted, with the user's own terms.
    case granted(UserTerms)
    /// Unknown user or wrong password. It counts as a failed attempt of the source.
    case refused
    /// It can't be checked now. The client sees a refusal, but it doesn't count as a failed attempt.
    case unavailable
}
