public import SOCKS5Protocol

/// Decides who may log in (RFC 1929). The built-in one has ``Configuration/users``; one of your own goes into
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
    /// Called by the workers' threads, several at once, for each login. Must not block: what takes longer than
    /// some microseconds is answered ``LoginAnswer/later(_:)``.
    func verify(_ login: Login) -> LoginAnswer

    /// Which of these users may not go on with the sessions that they have, as one who has been removed. Asked once by
    /// ``ProxyServer/endRefused()``, and by nothing else; without an implementation, none. May take its time.
    ///
    /// - Parameter users: names, as bytes, of all who have a session.
    func revoked(among users: Set<[UInt8]>) async -> Set<[UInt8]>
}

extension CredentialStore {
    public func revoked(among users: Set<[UInt8]>) async -> Set<[UInt8]> { [] }
}

/// Username and password as a client has sent them: bytes of any value, 0 to 255 of each. Descriptions and
/// mirrors don't show the password.
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

/// What a ``CredentialStore`` says to a login.
public enum LoginAnswer: Sendable {
    case now(LoginVerdict)
    /// Runs as a task of its own; cancelled when the client leaves or the time for the handshake is over. An error is
    /// ``LoginVerdict/unavailable``.
    case later(@Sendable () async throws -> LoginVerdict)
}

public enum LoginVerdict: Sendable, Equatable {
    /// The user may do what everyone may.
    case accepted
    /// Accepted, with terms of the user's own.
    case granted(UserTerms)
    /// Unknown user or wrong password: counts as a failed attempt of its source.
    case refused
    /// It can't be said now. The client sees a refusal, but it doesn't count as a failed attempt.
    case unavailable
}
