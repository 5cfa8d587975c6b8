internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import Text

/// Logs refusals: at most one line per second for each kind, with the number of refusals that it stands for.
///
/// - Isolation: the worker's thread.
struct Refusals {
    /// Includes the limit: a line about one limit must not suppress a line about another.
    private struct Kind: Hashable {
        let outcome: SessionInfo.Outcome
        var limit: String?
    }

    private var limits: [Kind: RateLimit] = [:]
    private var datagramLimits: [SessionInfo.Outcome: RateLimit] = [:]
    private var reports = RateLimit()

    /// - Parameters:
    ///   - record: includes its outcome.
    ///   - now: milliseconds on the loop's clock.
    mutating func note(_ record: SessionRecord, now: UInt64, _ logger: Logger) {
        guard logger.logLevel <= .notice, let outcome = record.code, let message = Self.message(outcome)
        else {
            return
        }
        let kind = Kind(outcome: outcome, limit: outcome == .deniedByLimit ? record.reason : nil)
        guard let count = limits[kind, default: RateLimit()].count(now: now) else { return }
        var metadata = record.subject
        metadata["refused"] = "\(count)"
        logger.notice("\(message)", metadata: metadata)
    }

    /// The same for an association whose datagrams to a target are dropped.
    ///
    /// - Parameter rule: the name in logs of the rule that denies them, if it is a rule.
    mutating func noteDatagrams(
        _ record: SessionRecord,
        to target: Target,
        _ denial: Denial,
        _ rule: String?,
        now: UInt64,
        _ logger: Logger
    ) {
        let outcome = SessionOutcome.denied(denial).code
        guard logger.logLevel <= .notice, let message = Self.message(outcome),
            let count = datagramLimits[outcome, default: RateLimit()].count(now: now)
        else { return }
        var metadata = record.subject
        metadata["destination"] = "\(target)"
        if let rule { metadata["rule"] = "\(rule)" }
        if case .destination(let reason) = denial { metadata["reason"] = "\(reason.rawValue)" }
        metadata["refused"] = "\(count)"
        logger.notice("datagrams \(message)", metadata: metadata)
    }

    /// The same for a request that is carried out although a rule that only reports would deny it.
    mutating func noteReport(_ record: SessionRecord, now: UInt64, _ logger: Logger) {
        guard logger.logLevel <= .notice, let rule = record.wouldDeny, let count = reports.count(now: now)
        else { return }
        var metadata = record.subject
        metadata["would_deny"] = "\(rule)"
        metadata["reported"] = "\(count)"
        logger.notice("a rule on trial would deny", metadata: metadata)
    }

    /// `nil` if it is a failure and not a refusal.
    private static func message(_ outcome: SessionInfo.Outcome) -> String? {
        switch outcome {
        case .notSOCKS5: "not SOCKS5"
        case .badRequest: "bad request"
        case .tlsFailed: "TLS failed"
        case .gssapiFailed: "GSSAPI failed"
        case .noAcceptableMethod: "no acceptable method"
        case .loginUnchecked: "login unchecked"
        case .commandNotSupported: "command not supported"
        case .addressTypeNotSupported: "address type not supported"
        case .badDestination: "not a destination"
        case .deniedByRule: "denied by a rule"
        case .deniedByGuard: "denied by the guard"
        case .deniedByLimit: "denied by a limit"
        case .quotaUsedUp: "quota used up"
        // The parent's refusal, which the parent itself logs.
        case .deniedByParent: nil
        case .completed, .probe, .clientLeft, .abortedByClient, .abortedByTarget, .loginFailed, .nameNotFound,
            .connectionRefused, .hostUnreachable, .networkUnreachable, .dialTimedOut, .generalFailure,
            .handshakeTimedOut, .idleTimedOut, .sessionTimedOut, .displaced, .endedByAdmin, .revoked,
            .stopped:
            nil
        }
    }
}

extension SessionRecord {
    /// The client, its request, and the reason for the refusal. Bytes from the wire are escaped.
    fileprivate var subject: Logger.Metadata {
        var metadata: Logger.Metadata = ["client": "\(client)", "id": "\(id)"]
        if let username = user {
            metadata["user"] = "\(String(decoding: username, as: UTF8.self).escapedForDoubleQuotes)"
        }
        if let command { metadata["command"] = "\(command.text)" }
        if let destination, command != .udpAssociate {
            metadata["destination"] =
                "\(Target(destination)?.description ?? destination.description.escapedForDoubleQuotes)"
        }
        if let rule { metadata["rule"] = "\(rule)" }
        if let reason { metadata["reason"] = "\(reason.escapedForDoubleQuotes)" }
        return metadata
    }
}
