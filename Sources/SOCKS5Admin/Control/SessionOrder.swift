internal import SOCKS5Server

/// The order in which sessions are listed.
struct SessionOrder: Sendable {
    private enum Key: String, CaseIterable {
        case id, age, idle, sent, received, user
    }

    private let key: Key
    private let isDescending: Bool

    /// - Parameter text: a key, preceded by `-` for descending order. If `nil`, by number.
    /// - Throws: a refusal with status 400.
    init(_ text: String?) throws(Refusal) {
        let text = text ?? Key.id.rawValue
        isDescending = text.hasPrefix("-")
        guard let key = Key(rawValue: String(isDescending ? text.dropFirst() : text[...])) else {
            let keys = Key.allCases.map(\.rawValue).joined(separator: ", ")
            throw Refusal(400, "the sort isn't known; expected one of \(keys), or - and one of them")
        }
        self.key = key
    }

    func sorted(_ sessions: [SessionInfo]) -> [SessionInfo] {
        switch key {
        case .id: sorted(sessions) { $0.id }
        case .age: sorted(sessions) { $0.milliseconds }
        // Before any byte can have come, the session's age counts as its idle time.
        case .idle: sorted(sessions) { $0.times.idle ?? $0.milliseconds }
        case .sent: sorted(sessions) { $0.bytesClientToTarget }
        case .received: sorted(sessions) { $0.bytesTargetToClient }
        case .user: sorted(sessions) { String(decoding: $0.user ?? [], as: UTF8.self) }
        }
    }

    private func sorted<Value: Comparable>(
        _ sessions: [SessionInfo],
        by value: (SessionInfo) -> Value
    ) -> [SessionInfo] {
        // Equal values are ordered by number, so that pages don't overlap.
        let keyed = sessions.map { (value: value($0), id: $0.id, session: $0) }
        return keyed.sorted { left, right in
            if left.value == right.value { return left.id < right.id }
            return isDescending ? left.value > right.value : left.value < right.value
        }.map(\.session)
    }
}
