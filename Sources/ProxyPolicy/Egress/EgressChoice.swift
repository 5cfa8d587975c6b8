/// How a connection gets its address if there are several of the target's family.
public enum EgressChoice: String, Hashable, Sendable, CaseIterable {
    case random
    /// By turns. All connections count, whoever makes them.
    case roundRobin = "round-robin"
    /// The same address for a user; without a login, for the client's address.
    case sameForUser = "same-for-user"
    /// The same address for a user with the same session id; without an id, a random one.
    case sameForSessionID = "same-for-session-id"
    /// The address that the client has reached, if it is one of these; otherwise a random one.
    case incoming
}
