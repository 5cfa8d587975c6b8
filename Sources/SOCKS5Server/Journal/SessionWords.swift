package import SOCKS5Protocol

// The words for a session in logs, metrics and tables. They must not change: dashboards use them.

extension SessionInfo {
    /// How far a session got.
    public enum Stage: String, CaseIterable, Comparable, Sendable {
        /// Nothing was received yet.
        case accepted
        /// The client has sent something.
        case handshake
        /// The client has sent its credentials.
        case login
        /// The client has sent its request.
        case policy
        /// A name is being looked up.
        case lookup
        /// The server connects to the target, or waits for it.
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

    /// The login method.
    public enum Method: String, CaseIterable, Sendable {
        case none, password
        /// The client's certificate proves the user.
        case certificate
        /// A Kerberos context names the user (RFC 1961).
        case gssapi
    }

    /// Why a session has ended.
    public enum EndedBy: String, CaseIterable, Sendable {
        /// The side that has ended or reset its connection first.
        case client, target
        case timeout, limit
        /// An administrator.
        case admin
        /// A reload with users or rules that would refuse the session.
        case reload
        case stop
    }

    /// How a session has ended: one of a closed set.
    public enum Outcome: String, CaseIterable, Sendable {
        /// Both directions were relayed until their end, or the client has ended its association.
        case completed
        /// The client sent nothing, or only a greeting: a port scan or a health check.
        case probe
        /// The client left before its request was carried out.
        case clientLeft = "client_left"
        /// One side has reset the connection, or failed.
        case abortedByClient = "aborted_by_client"
        case abortedByTarget = "aborted_by_target"

        /// A handshake or record of TLS is invalid, or not accepted.
        case tlsFailed = "tls_failed"
        /// A GSSAPI message after the login is invalid, or not authentic (RFC 1961).
        case gssapiFailed = "gssapi_failed"
        /// A protocol that the listener doesn't speak.
        case notSOCKS5 = "not_socks5"
        /// A malformed or too long request in SOCKS4 or HTTP.
        case badRequest = "bad_request"
        case noAcceptableMethod = "no_acceptable_method"
        case loginFailed = "login_failed"
        /// The login was refused without checking it.
        case loginUnchecked = "login_unchecked"

        case commandNotSupported = "command_not_supported"
        case addressTypeNotSupported = "address_type_not_supported"
        /// A name that can't be looked up, or port 0.
        case badDestination = "bad_destination"
        case deniedByRule = "denied_by_rule"
        case deniedByGuard = "denied_by_guard"
        /// Denied by a limit of a source or a user.
        case deniedByLimit = "denied_by_limit"
        /// The parent has denied the request.
        case deniedByParent = "denied_by_parent"
        case quotaUsedUp = "quota_used_up"

        case nameNotFound = "name_not_found"
        case connectionRefused = "connection_refused"
        case hostUnreachable = "host_unreachable"
        case networkUnreachable = "network_unreachable"
        /// The target didn't answer in time.
        case dialTimedOut = "dial_timed_out"
        /// Reply 01: any other failure, such as a lack of resources.
        case generalFailure = "general_failure"

        case handshakeTimedOut = "handshake_timed_out"
        case idleTimedOut = "idle_timed_out"
        /// It has reached the time limit of sessions.
        case sessionTimedOut = "session_timed_out"
        /// A new client took the place of this session, which hadn't sent its request.
        case displaced
        case endedByAdmin = "ended_by_admin"
        /// New users or rules would refuse it.
        case revoked
        case stopped
    }
}

extension SOCKSCommand {
    /// Its name in logs, metrics and tables.
    package var word: String {
        switch self {
        case .connect: "connect"
        case .bind: "bind"
        case .udpAssociate: "udp_associate"
        case .resolve: "resolve"
        }
    }
}
