/// How one of several addresses of the target's family is chosen for a connection.
public enum EgressChoice: String, Hashable, Sendable, CaseIterable {
    case random
    /// In turn, counting all connections together.
    case roundRobin = "round-robin"
    /// The same address for all connections of a user, or of a client's address without a login.
    case sameForUser = "same-for-user"
    /// The same address for all connections of a user with the same session id; without an id, a random one.
    case sameForSessionID = "same-for-session-id"
    /// The address that the client has connected to, if it is one of these; otherwise a random one.
    case incoming
}
