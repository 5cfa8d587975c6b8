/// The limit by which a connection or a request was refused, see ``Configuration/Limits``.
public enum LimitRefusal: Int, CaseIterable, Error {
    /// ``Configuration/Limits/connectionsPerSource``.
    case connectionsOfSource
    /// ``Configuration/Limits/handshakesPerSource``.
    case handshakesOfSource
    /// ``Configuration/Limits/newConnectionsPerSource``.
    case newConnectionsOfSource
    /// ``Configuration/UserLimits/connections``.
    case connectionsOfUser
    /// ``Configuration/UserLimits/quota``.
    case quotaOfUser

    /// For the log: fixed words.
    var text: String {
        switch self {
        case .connectionsOfSource: "connections of a source"
        case .handshakesOfSource: "handshakes of a source"
        case .newConnectionsOfSource: "new connections of a source"
        case .connectionsOfUser: "connections of the user"
        case .quotaOfUser: "quota of the user"
        }
    }
}
