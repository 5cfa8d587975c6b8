internal import Logging
internal import SOCKS5Protocol
internal import Text

/// Says in the log what is refused: a line a second for each kind, with the number of those that it stands for.
///
/// - Isolation: the worker's thread.
struct Refusals {
    private var limits: [SessionInfo.Outcome: RateLimit] = [:]
    private var reports = RateLimit()

    /// - Parameters:
    ///   - record: with its outcome.
    ///   - now: milliseconds on the loop's clock.
    mutating func note(_ record: SessionRecord, now: UInt64, _ logger: Logger) {
        guard logger.logLevel <= .notice, let outcome = record.code, let message = Self.message(outcome)
        else {
            return
        }
        guard let count = limits[outcome, default: RateLimit()].count(now: now) else { return }
        var metadata = record.subject
        metadata["refused"] = "\(count)"
        logger.notice("\(message)", metadata: metadata)
    }

    /// The same of what is carried out although a rule that only reports would deny it.
    mutating func noteReport(_ record: SessionRecord, now: UInt64, _ logger: Logger) {
        guard logger.logLevel <= .notice, let rule = record.wouldDeny, let count = reports.count(now: now)
        else { return }
        var metadata = record.subject
        metadata["would_deny"] = "\(rule)"
        metadata["reported"] = "\(count)"
        logger.notice("a rule on trial would deny", metadata: metadata)
    }

    /// `nil`: a failure, and no refusal.
    private static func message(_ outcome: SessionInfo.Outcome) -> String? {
        switch outcome {
        case .notSOCKS5: "not SOCKS5"
        case .badRequest: "bad request"
        case .noAcceptableMethod: "no acceptable method"
        case .loginUnchecked: "login unchecked"
        case .commandNotSupported: "command not supported"
        case .addressTypeNotSupported: "address type not supported"
        case .badDestination: "not a destination"
        case .deniedByRule: "denied by a rule"
        case .deniedByGuard: "denied by the guard"
        case .deniedByLimit: "denied by a limit"
        case .quotaUsedUp: "quota used up"
        case .completed, .probe, .clientLeft, .abortedByClient, .abortedByTarget, .loginFailed, .nameNotFound,
            .connectionRefused, .hostUnreachable, .networkUnreachable, .dialTimedOut, .generalFailure,
            .handshakeTimedOut, .idleTimedOut, .sessionTimedOut, .displaced, .endedByAdmin, .revoked,
            .stopped:
            nil
        }
    }
}

extension SessionRecord {
    /// Who has asked for what, and what was found wrong with it. What came from the wire is escaped.
    fileprivate var subject: Logger.Metadata {
        var metadata: Logger.Metadata = ["client": "\(client)", "id": "\(id)"]
        if let username = user {
            metadata["user"] = "\(String(decoding: username, as: UTF8.self).escapedForOneLine)"
        }
        if let command { metadata["command"] = "\(command.text)" }
        if let destination, command != .udpAssociate {
            metadata["destination"] =
                "\(Target(destination)?.description ?? destination.description.escapedForOneLine)"
        }
        if let rule { metadata["rule"] = "\(rule)" }
        if let reason { metadata["reason"] = "\(reason.escapedForOneLine)" }
        return metadata
    }
}
