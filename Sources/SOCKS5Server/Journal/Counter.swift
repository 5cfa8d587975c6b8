/// The counters of a server. Each is declared only here.
public enum Counter: Int, CaseIterable, Sendable {
    /// Connections accepted as sessions.
    case accepted
    /// Sessions that have ended.
    case ended
    /// Connections closed at once because ``Configuration/maxConnections`` was reached and all sessions had a
    /// request.
    case refusedAtLimit
    /// Sessions that were ended before their request, the oldest first, because
    /// ``Configuration/maxConnections`` was reached and a new client came.
    case displacedHandshakes
    /// Connections closed at once because their source is banned by ``Configuration/loginBan``.
    case refusedAsBanned
    /// Connections closed at once because they didn't come from ``Configuration/ListenerSettings/clients``.
    case refusedToStrangers
    /// Connections closed before they became sessions because no PROXY header from
    /// ``Configuration/ListenerSettings/proxyProtocol`` had named a client.
    case refusedForHeader
    /// Accepted PROXY headers, by version.
    case version1Headers, version2Headers
    /// Connections closed at once during ``ProxyServer/drain(within:)``.
    case refusedWhileDraining
    /// Requests, by the protocol of the client, see ``ProxyProtocol``.
    case socks5Requests, socks4Requests, httpRequests
    /// Logins with correct user and password.
    case succeededLogins
    /// Logins with a wrong user or password (RFC 1929).
    case failedLogins
    /// Logins refused without checking them, because too many were waiting or the verdict was
    /// ``LoginVerdict/unavailable``.
    case uncheckedLogins
    /// Sessions ended by one of ``Configuration/Timeouts``.
    case timedOut
    /// Sessions that were ended because a quota was used up, see ``UserLimits/quota``.
    case endedByQuota
    /// Payload relayed, of TCP and of UDP, counted while the sessions run.
    case bytesClientToTarget, bytesTargetToClient
    /// The part of these that came in datagrams.
    case datagramBytesClientToTarget, datagramBytesTargetToClient
    /// The part of these that the kernel has moved by itself (splice(2)).
    case splicedClientToTarget, splicedTargetToClient
    /// Granted UDP associations.
    case associations
    /// UDP associations that were refused because their source had the maximum.
    case associationsAtLimit
    /// Relayed datagrams.
    case datagramsClientToTarget, datagramsTargetToClient
}

extension ProxyProtocol {
    /// The counter of requests in this protocol.
    package var requests: Counter {
        switch self {
        case .socks5: .socks5Requests
        case .socks4: .socks4Requests
        case .http: .httpRequests
        }
    }
}
