internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// How a session has ended; each session has one outcome.
enum SessionOutcome: Equatable {
    enum Side: String {
        case client, target
    }

    /// Both directions were relayed until their end, or the client has ended its UDP association.
    case completed
    /// A failure reply was sent.
    case refused(Reply)
    /// Reply 02 was sent, for this reason.
    case denied(Denial)
    /// No method in common (RFC 1928 section 3).
    case noAcceptableMethod
    /// Wrong user or password (RFC 1929).
    case loginRefused
    /// Refused without checking user and password.
    case loginUnchecked
    /// A protocol that the listener doesn't speak.
    case notSOCKS5
    /// A malformed or too long request.
    case badRequest
    /// The client left before its request was carried out.
    case clientLeft
    /// One side has reset the connection, or failed.
    case aborted(by: Side, UVError)
    /// The codec can't decode the bytes of one side.
    case undecodable(by: Side, CodecFailure.Layer)
    case timedOut(Deadline)
    /// The number of sessions was at its limit, and a new client took the place of this session, whose
    /// handshake was the oldest.
    case displaced
    /// The user's quota is used up.
    case quotaUsedUp
    /// An administrator has ended it, see ``ProxyServer/end(_:)``.
    case endedByAdmin
    /// The current users or rules would refuse it, see ``ProxyServer/endRefused()``.
    case revoked
    /// The server was stopped, and the time for draining is over.
    case stopped

    /// Whether the peers must see a reset, since the relayed bytes are incomplete.
    var isAbort: Bool {
        switch self {
        case .aborted, .stopped, .endedByAdmin, .revoked, .quotaUsedUp, .displaced, .timedOut(.idle),
            .timedOut(.session),
            .timedOut(.halfClosed):
            true
        case .completed, .refused, .denied, .noAcceptableMethod, .loginRefused, .loginUnchecked, .notSOCKS5,
            .badRequest, .clientLeft, .timedOut, .undecodable:
            false
        }
    }

    /// Whether the server has refused the client's request, which is logged at once.
    var isRefusal: Bool {
        switch self {
        case .refused, .denied, .noAcceptableMethod, .loginRefused, .loginUnchecked, .notSOCKS5, .badRequest,
            .undecodable, .quotaUsedUp:
            true
        case .completed, .clientLeft, .aborted, .timedOut, .displaced, .endedByAdmin, .revoked, .stopped:
            false
        }
    }

    /// Constant text for the log, without bytes from the wire.
    var text: String {
        switch self {
        case .completed: "completed"
        case .refused(let reply): "refused, reply \(reply.rawValue)"
        case .denied(let denial): "refused, reply \(Reply.notAllowed.rawValue), \(denial.text)"
        case .noAcceptableMethod: "no acceptable method"
        case .loginRefused: "login refused"
        case .loginUnchecked: "login unchecked"
        case .notSOCKS5: "not SOCKS5"
        case .badRequest: "bad request"
        case .clientLeft: "client left"
        case .aborted(let side, let error): "aborted by \(side.rawValue), \(error)"
        case .undecodable(let side, .tls): "TLS of the \(side.rawValue) failed"
        case .undecodable(let side, .gssapi): "GSSAPI of the \(side.rawValue) failed"
        case .timedOut(let deadline): "timed out, \(deadline.text)"
        case .displaced: "displaced"
        case .quotaUsedUp: "quota used up"
        case .endedByAdmin: "ended by admin"
        case .revoked: "revoked"
        case .stopped: "stopped"
        }
    }
}

// MARK: - Words

extension SessionOutcome {
    /// The code, as far as the outcome alone determines it, see ``SessionRecord/code``.
    var code: SessionInfo.Outcome {
        switch self {
        case .completed: .completed
        case .refused(let reply): Self.code(of: reply)
        case .denied(.rule), .denied(.userRule), .denied(.listenerRule), .denied(.ruleSet): .deniedByRule
        case .denied(.destination): .deniedByGuard
        case .denied(.limit(.quotaPerUser)), .quotaUsedUp: .quotaUsedUp
        case .denied(.limit): .deniedByLimit
        case .noAcceptableMethod: .noAcceptableMethod
        case .loginRefused: .loginFailed
        case .loginUnchecked: .loginUnchecked
        case .notSOCKS5: .notSOCKS5
        case .badRequest: .badRequest
        case .clientLeft: .clientLeft
        case .aborted(by: .client, _): .abortedByClient
        case .aborted(by: .target, _): .abortedByTarget
        case .undecodable(_, .tls): .tlsFailed
        case .undecodable(_, .gssapi): .gssapiFailed
        case .timedOut(let deadline): Self.code(ofMissed: deadline)
        case .displaced: .displaced
        case .endedByAdmin: .endedByAdmin
        case .revoked: .revoked
        case .stopped: .stopped
        }
    }

    private static func code(of reply: Reply) -> SessionInfo.Outcome {
        switch reply {
        case .succeeded: .completed
        case .generalFailure: .generalFailure
        // The source has too many associations.
        case .notAllowed: .deniedByLimit
        case .networkUnreachable: .networkUnreachable
        case .hostUnreachable: .hostUnreachable
        case .connectionRefused: .connectionRefused
        case .ttlExpired: .dialTimedOut
        case .commandNotSupported: .commandNotSupported
        case .addressTypeNotSupported: .addressTypeNotSupported
        }
    }

    private static func code(ofMissed deadline: Deadline) -> SessionInfo.Outcome {
        switch deadline {
        case .handshake, .lateRefusal, .refusal: .handshakeTimedOut
        case .dial, .bind: .dialTimedOut
        case .idle, .halfClosed, .udpIdle, .turn, .look: .idleTimedOut
        case .session: .sessionTimedOut
        }
    }

    /// `nil` if the server has refused it.
    var endedBy: SessionInfo.EndedBy? {
        switch self {
        case .completed, .clientLeft, .aborted(by: .client, _), .undecodable(by: .client, _): .client
        case .aborted(by: .target, _), .undecodable(by: .target, _): .target
        case .timedOut, .refused(.ttlExpired): .timeout
        case .displaced, .quotaUsedUp, .denied(.limit), .refused(.notAllowed): .limit
        case .endedByAdmin: .admin
        case .revoked: .reload
        case .stopped: .stop
        case .refused, .denied, .noAcceptableMethod, .loginRefused, .loginUnchecked, .notSOCKS5,
            .badRequest:
            nil
        }
    }
}
