/// The limit by which a connection or a request was refused, see ``Configuration/Limits``.
public enum LimitRefusal: Int, CaseIterable, Error {
    /// ``Configuration/Limits/connectionsPerSource``.
    case connectionsPerSource
    /// ``Configuration/Limits/handshakesPerSource``.
    case handshakesPerSource
    /// ``Configuration/Limits/newConnectionsPerSource``.
    case newConnectionsPerSource
    /// ``Configuration/UserLimits/connections``.
    case connectionsPerUser
    /// ``Configuration/UserLimits/quota``.
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
