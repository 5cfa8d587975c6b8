internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

// The words in metrics for events outside of sessions. They must not change: dashboards use them.

/// Why a connection didn't become a session.
public enum ConnectionRefusal: Int, CaseIterable, Sendable {
    /// By ``Configuration/loginBan``.
    case banned
    /// By ``Configuration/maxConnections``.
    case connections
    /// During ``ProxyServer/drain(within:)``.
    case draining
    /// By ``ProxyLimits``.
    case connectionsPerSource, handshakesPerSource, newConnectionsPerSource
    /// By ``Configuration/ListenerSettings/clients``.
    case stranger
    /// A problem with a PROXY header, see ``Configuration/ListenerSettings/proxyProtocol``: the connection
    /// came from elsewhere, nothing or something else was sent, the connection ended within the header, or it
    /// came too late.
    case headerFromElsewhere, headerMissing, headerCut, headerLate
    /// The header doesn't follow haproxy.org's specification, is too long, or has a wrong checksum.
    case headerMalformed, headerTooLong, headerChecksum

    init(_ limit: LimitRefusal) {
        self =
            switch limit {
            case .connectionsPerSource: .connectionsPerSource
            case .handshakesPerSource: .handshakesPerSource
            case .newConnectionsPerSource: .newConnectionsPerSource
            // These are limits of users, which don't apply to connections.
            case .connectionsPerUser, .quotaPerUser: .connections
            }
    }

    init(_ error: MalformedProxyHeader) {
        self =
            switch error {
            case .noHeader: .headerMissing
            case .badLine, .unknownCommand, .unknownFamily, .tooShort, .badField: .headerMalformed
            case .tooLong: .headerTooLong
            case .badChecksum: .headerChecksum
            }
    }

    public var word: String {
        switch self {
        case .banned: "banned"
        case .connections: "connections"
        case .draining: "draining"
        case .connectionsPerSource: "connections_per_source"
        case .handshakesPerSource: "handshakes_per_source"
        case .newConnectionsPerSource: "new_connections_per_source"
        case .stranger: "stranger"
        case .headerFromElsewhere: "header_from_elsewhere"
        case .headerMissing: "header_missing"
        case .headerCut: "header_cut"
        case .headerLate: "header_late"
        case .headerMalformed: "header_malformed"
        case .headerTooLong: "header_too_long"
        case .headerChecksum: "header_checksum"
        }
    }
}

/// The result of an attempt to connect to one address.
public enum ConnectResult: Int, CaseIterable, Sendable {
    case connected, refused, unreachable, timedOut
    /// Failed for another reason.
    case failed
    /// Given up because another address was faster, or the session had ended.
    case abandoned

    init(_ error: UVError) {
        self =
            switch Reply(error) {
            case .connectionRefused: .refused
            case .networkUnreachable, .hostUnreachable: .unreachable
            case .ttlExpired: .timedOut
            case .succeeded, .generalFailure, .notAllowed, .commandNotSupported, .addressTypeNotSupported:
                .failed
            }
    }

    public var word: String {
        switch self {
        case .connected: "connected"
        case .refused: "refused"
        case .unreachable: "unreachable"
        case .timedOut: "timed_out"
        case .failed: "failed"
        case .abandoned: "abandoned"
        }
    }
}

/// Why accepting has paused: a resource of the system ran out.
public enum AcceptError: Int, CaseIterable, Sendable {
    /// The process, or the system, has no more descriptors.
    case tooManyFiles, tooManyFilesInSystem
    case noBuffers, outOfMemory
    case other

    init(_ error: UVError) {
        self =
            switch error {
            case .tooManyFiles: .tooManyFiles
            case .tooManyFilesInSystem: .tooManyFilesInSystem
            case .noBuffers: .noBuffers
            case .outOfMemory: .outOfMemory
            default: .other
            }
    }

    public var word: String {
        switch self {
        case .tooManyFiles: "EMFILE"
        case .tooManyFilesInSystem: "ENFILE"
        case .noBuffers: "ENOBUFS"
        case .outOfMemory: "ENOMEM"
        case .other: "other"
        }
    }
}

/// The decision about a request.
public enum PolicyDecision: Hashable, Sendable {
    /// It was carried out.
    case allowed
    /// Denied by the rule with this number, from 1. All rules above 255 count together as 256.
    case rule(Int)
    case userRule
    case listenerRule
    /// Denied by an embedder's ``RuleSet``.
    case ruleSet
    /// Denied by the destination guard, for the reason with this number.
    case destination(Int)
    /// The rule with this number only reports, so it didn't decide. Counted as ``rule(_:)``.
    case reportedByRule(Int)
    case reportedByUserRule
    case reportedByListenerRule

    static let lastRule = 255
    private static let reasons = GuardReason.allCases

    /// `nil` for a limit of the user, which isn't a decision of the policy.
    init?(_ denial: Denial) {
        switch denial {
        case .rule(let number): self = .rule(min(number, Self.lastRule + 1))
        case .userRule: self = .userRule
        case .listenerRule: self = .listenerRule
        case .ruleSet: self = .ruleSet
        case .destination(let reason): self = .destination(Self.reasons.firstIndex(of: reason) ?? 0)
        case .limit: return nil
        }
    }

    /// For a rule that only reports; `nil` for anything else.
    init?(reported denial: Denial) {
        switch denial {
        case .rule(let number): self = .reportedByRule(min(number, Self.lastRule + 1))
        case .userRule: self = .reportedByUserRule
        case .listenerRule: self = .reportedByListenerRule
        case .ruleSet, .destination, .limit: return nil
        }
    }

    static let all: [PolicyDecision] =
        [.allowed, .userRule, .listenerRule, .ruleSet] + reasons.indices.map { .destination($0) }
        + (1...lastRule + 1).map { .rule($0) } + [.reportedByUserRule, .reportedByListenerRule]
        + (1...lastRule + 1).map { .reportedByRule($0) }

    /// Below 530.
    var number: Int {
        switch self {
        case .allowed: 0
        case .userRule: 1
        case .listenerRule: 2
        case .ruleSet: 3
        case .destination(let reason): 4 + reason
        case .rule(let number): 15 + number
        case .reportedByUserRule: 272
        case .reportedByListenerRule: 273
        case .reportedByRule(let number): 273 + number
        }
    }

    public var word: String {
        switch self {
        case .allowed: "allowed"
        case .rule, .userRule, .listenerRule, .ruleSet, .destination: "denied"
        case .reportedByRule, .reportedByUserRule, .reportedByListenerRule: "would_deny"
        }
    }

    /// The rule that has denied the request, or would have; empty if there is none.
    public var rule: String {
        switch self {
        case .allowed: ""
        case .rule(Self.lastRule + 1), .reportedByRule(Self.lastRule + 1): "other rules"
        case .rule(let number), .reportedByRule(let number): "rule \(number)"
        case .userRule, .reportedByUserRule: "user's rule"
        case .listenerRule, .reportedByListenerRule: "listener's rule"
        case .ruleSet: "rule set"
        case .destination(let reason): "guard: \(Self.reasons[reason].rawValue)"
        }
    }
}

/// The result of a handshake.
public enum HandshakeResult: Hashable, Sendable {
    /// With a request.
    case completed
    /// The session ended before its request.
    case ended(SessionInfo.Outcome)

    static let all = [HandshakeResult.completed] + SessionInfo.Outcome.all.map { .ended($0) }

    public var word: String {
        switch self {
        case .completed: "completed"
        case .ended(let outcome): outcome.rawValue
        }
    }
}

extension SessionInfo.Outcome {
    static let all = allCases

    /// Its index among all results, below 40.
    var number: Int { Self.all.firstIndex(of: self) ?? 0 }
}
