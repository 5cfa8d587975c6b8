/// What a server counts. Each counter is declared here, and nowhere else.
public enum Counter: Int, CaseIterable, Sendable {
    /// Connections accepted as sessions.
    case accepted
    /// Sessions that have ended.
    case ended
    /// Connections closed at once, since there were ``Configuration/maxConnections`` already, all with a request.
    case refusedAtLimit
    /// Sessions that were ended before their request, the oldest first, since there were
    /// ``Configuration/maxConnections`` and a new client came.
    case displacedHandshakes
    /// Connections closed at once, since their source is banned by ``Configuration/loginBan``.
    case refusedAsBanned
    /// Connections closed at once, since they came from none of ``Configuration/ListenerSettings/clients``.
    case refusedToStrangers
    /// Connections closed before they became sessions, since no PROXY header of one of
    /// ``Configuration/ListenerSettings/proxyProtocol`` had named a client.
    case refusedForHeader
    /// PROXY headers that were taken, by their version.
    case version1Headers, version2Headers
    /// Connections closed at once during ``ProxyServer/drain(within:)``.
    case refusedWhileDraining
    /// Requests, by the protocol of the client, see ``ProxyProtocol``.
    case socks5Requests, socks4Requests, httpRequests
    /// Logins with the right user and password.
    case succeededLogins
    /// Logins with a wrong user or password (RFC 1929).
    case failedLogins
    /// Logins refused without a look at them, since too many waited, or ``LoginVerdict/unavailable``.
    case uncheckedLogins
    /// Sessions that missed one of ``Configuration/Timeouts``.
    case timedOut
    /// Sessions that have ended since a quota was used up, see ``UserLimits/quota``.
    case endedByQuota
    /// Payload relayed, of TCP and of UDP, counted while the sessions run.
    case bytesClientToTarget, bytesTargetToClient
    /// Of these, the payload of datagrams.
    case datagramBytesClientToTarget, datagramBytesTargetToClient
    /// Of these, what the kernel has moved by itself (splice(2)).
    case splicedClientToTarget, splicedTargetToClient
    /// UDP associations that were granted.
    case associations
    /// UDP associations that were refused, since their source had as many as it may.
    case associationsAtLimit
    /// Datagrams that were relayed.
    case datagramsClientToTarget, datagramsTargetToClient
}

extension ProxyProtocol {
    /// Of the requests that have come in it.
    package var requests: Counter {
        switch self {
        case .socks5: .socks5Requests
        case .socks4: .socks4Requests
        case .http: .httpRequests
        }
    }
}
