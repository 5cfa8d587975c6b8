/// The limit by which a connection or a request was refused, see ``ProxyLimits``.
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

    /// For the log: fixed words.
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
