/// The last sessions of one worker that have ended, for operators who look after the end of a session.
struct RecentSessions {
    /// The number that each worker keeps, and that is reported of all together.
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
