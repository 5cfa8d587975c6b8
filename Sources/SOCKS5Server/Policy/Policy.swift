internal import SOCKS5Protocol
internal import UVLoop

/// Who clients are and what they may do: all that a reload replaces, as one value.
///
/// Each worker has the one in use, and gets the next one through its mailbox, so that nothing is locked to ask it. A
/// handshake ends with the policy that it began with; everything else asks the one of the moment, as each datagram of
/// an association that has long been there.
final class Policy: Sendable {
    let access: AccessPolicy
    /// `nil`: no login is asked for.
    let credentials: (any CredentialStore)?
    let loginBan: Configuration.LoginBan?
    let limits: LimitSettings
    let egressOfUsers: UserEgress

    /// - Parameters:
    ///   - listeners: what the server listens on.
    ///   - previous: the one in use, of which successful logins are kept.
    init(
        _ configuration: Configuration,
        listeners: [SocketAddress],
        _ hashThreads: HashThreads,
        replacing previous: Policy? = nil
    ) {
        access = AccessPolicy(RuleTable(configuration.rules), configuration, listeners: listeners)
        credentials =
            configuration.users.isEmpty
            ? configuration.credentialStore
            : UserTable(configuration.users, hashThreads, replacing: previous?.credentials as? UserTable)
        loginBan = configuration.loginBan
        limits = LimitSettings(configuration.limits, configuration.users)
        egressOfUsers = UserEgress(configuration)
    }

    /// The one method that is ever selected.
    var method: Method { credentials == nil ? .noAuthentication : .usernamePassword }
}
