package import SOCKS5Protocol

// The words that logs, metrics and tables have for a session. They don't change: dashboards ask for them.

extension SessionInfo {
    /// How far a session has come.
    public enum Stage: String, CaseIterable, Comparable, Sendable {
        /// Nothing was received.
        case accepted
        /// Something was.
        case handshake
        /// Credentials have come.
        case login
        /// A request has come.
        case policy
        /// A name is looked up.
        case lookup
        /// The target is being connected, or awaited.
        case dial
        /// Client and target are connected, or an association is open.
        case relay

        private var rank: Int {
            switch self {
            case .accepted: 0
            case .handshake: 1
            case .login: 2
            case .policy: 3
            case .lookup: 4
            case .dial: 5
            case .relay: 6
            }
        }

        public static func < (left: Stage, right: Stage) -> Bool { left.rank < right.rank }
    }

    /// How clients log in.
    public enum Method: String, CaseIterable, Sendable {
        case none, password
        /// The client's certificate names the user.
        case certificate
        /// A context of Kerberos names the user (RFC 1961).
        case gssapi
    }

    /// Why a session has ended.
    public enum EndedBy: String, CaseIterable, Sendable {
        /// The side that has ended, or broken, its connection first.
        case client, target
        case timeout, limit
        /// Somebody who may end sessions.
        case admin
        /// New users or rules, which would refuse the session.
        case reload
        case stop
    }

    /// How a session has ended, one of a closed set.
    public enum Outcome: String, CaseIterable, Sendable {
        /// Both directions were relayed to their ends, or the client has ended its association.
        case completed
        /// The client was connected, and has sent nothing, or no more than a greeting: a port scan, a health check.
        case probe
        /// The client went before its request was carried out.
        case clientLeft = "client_left"
        /// One side has broken the relay.
        case abortedByClient = "aborted_by_client"
        case abortedByTarget = "aborted_by_target"

        /// A handshake or a record of TLS that makes no sense, or isn't accepted.
        case tlsFailed = "tls_failed"
        /// A message of GSSAPI behind the login that makes no sense, or isn't authentic (RFC 1961).
        case gssapiFailed = "gssapi_failed"
        /// A protocol that the listener doesn't speak.
        case notSOCKS5 = "not_socks5"
        /// A request without an end, or one that makes no sense, in SOCKS4 or HTTP.
        case badRequest = "bad_request"
        case noAcceptableMethod = "no_acceptable_method"
        case loginFailed = "login_failed"
        /// Nobody has looked whether the login is right.
        case loginUnchecked = "login_unchecked"

        case commandNotSupported = "command_not_supported"
        case addressTypeNotSupported = "address_type_not_supported"
        /// A name that nobody can look up, or port 0.
        case badDestination = "bad_destination"
        case deniedByRule = "denied_by_rule"
        case deniedByGuard = "denied_by_guard"
        /// By a limit of a source, or a user.
        case deniedByLimit = "denied_by_limit"
        /// The parent's answer is that it may not be.
        case deniedByParent = "denied_by_parent"
        case quotaUsedUp = "quota_used_up"

        case nameNotFound = "name_not_found"
        case connectionRefused = "connection_refused"
        case hostUnreachable = "host_unreachable"
        case networkUnreachable = "network_unreachable"
        /// The target didn't answer in time.
        case dialTimedOut = "dial_timed_out"
        /// Reply 01: something that this server lacks.
        case generalFailure = "general_failure"

        case handshakeTimedOut = "handshake_timed_out"
        case idleTimedOut = "idle_timed_out"
        /// It has lasted as long as a session may.
        case sessionTimedOut = "session_timed_out"
        /// A new client has got the place of this one, which had not sent its request.
        case displaced
        case endedByAdmin = "ended_by_admin"
        /// New users or rules would refuse it.
        case revoked
        case stopped
    }
}

extension SOCKSCommand {
    /// In logs, metrics and tables.
    package var word: String {
        switch self {
        case .connect: "connect"
        case .bind: "bind"
        case .udpAssociate: "udp_associate"
        case .resolve: "resolve"
        }
    }
}
