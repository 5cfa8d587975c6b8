/// The sessions of one worker that have ended last, for those who come too late to see them run.
struct RecentSessions {
    /// Of each worker, and told of all.
    static let capacity = 200

    private(set) var sessions: [SessionInfo] = []
    private var next = 0

    mutating func add(_ session: SessionInfo) {
        if sessions.count < Self.capacity {
            sessions.append(session)
        } else {
            sessions[next] = session
            next = (next + 1) % Self.capacity
        }
    }
}
