/// The limit that refused a connection or a request, see ``ProxyLimits``.
public enum LimitRefusal: Int, CaseIterable, Error {
    /// ``ProxyLimits/connectionsPerSource``.
    case connectionsPerSource
    /// ``ProxyLimits/handshakesPerSource``.
    case handshakesPerSource
    /// ``ProxyLimits/newConnectionsPerSource``.
    case newConnectionsPerSource
    /// ``UserLimits/connections``.
    case connectionsPerUser
    /// ``UserLimits/quota``.
    case quotaPerUser

    /// The word in metrics.
    public var word: String {
        switch self {
        case .connectionsPerSource: "connections_per_source"
        case .handshakesPerSource: "handshakes_per_source"
        case .newConnectionsPerSource: "new_connections_per_source"
        case .connectionsPerUser: "connections_per_user"
        case .quotaPerUser: "quota_per_user"
        }
    }

    /// Constant text for the log.
    package var text: String {
        switch self {
        case .connectionsPerSource: "connections of a source"
        case .handshakesPerSource: "handshakes of a source"
        case .newConnectionsPerSource: "new connections of a source"
        case .connectionsPerUser: "connections of the user"
        case .quotaPerUser: "quota of the user"
        }
    }
}
