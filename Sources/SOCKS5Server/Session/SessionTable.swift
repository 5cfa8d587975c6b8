/// The sessions of a worker, indexed by their slots in the clock.
///
/// - Ownership: holds them until they have ended.
struct SessionTable {
    private var sessions: [Session?] = []
    private(set) var count = 0

    mutating func insert(_ session: Session) {
        let index = session.slot.index
        while sessions.count <= index { sessions.append(nil) }
        sessions[index] = session
        count += 1
    }

    mutating func remove(_ session: Session) {
        sessions[session.slot.index] = nil
        count -= 1
    }

    /// `nil` if it has ended.
    subscript(slot: Clock.Slot) -> Session? { sessions[slot.index] }

    var all: [Session] { sessions.compactMap(\.self) }
}
