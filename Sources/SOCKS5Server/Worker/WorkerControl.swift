internal import Text
internal import UVLoop

/// What somebody who looks after the server asks a worker for. Answers come in the worker's thread.
enum WorkerControl: Sendable {
    /// Say which sessions there are.
    case list(@Sendable ([SessionInfo]) -> Void)
    /// Say which sessions have ended lately.
    case listEnded(@Sendable ([SessionInfo]) -> Void)
    /// End these, by their numbers; say how many of them there were.
    case end(Set<UInt64>, @Sendable (Int) -> Void)
    /// End the sessions that the policy of the moment refuses, and those of these users; say how many there were.
    case endRefused(Set<[UInt8]>, @Sendable (Int) -> Void)
    /// Say that the loop turns.
    case answer(@Sendable (Bool) -> Void)
    /// Copy the listening sockets, by the places of their listeners.
    case copyListeners(@Sendable ([(listener: Int, socket: ListeningSocket)]) -> Void)
    /// Whether new clients are taken.
    case setIntake(isOpen: Bool)
}

extension Worker {
    func take(_ control: WorkerControl) {
        switch control {
        case .list(let answer):
            let moment = Timestamp.now()
            answer(sessions.all.map { $0.info(moment) })
        case .listEnded(let answer): answer(services.journal.recent.sessions)
        case .end(let numbers, let answer): answer(end(numbers))
        case .endRefused(let users, let answer):
            answer(sessions.all.count { $0.endIfRefused(orOf: users) })
        case .answer(let answer): answer(true)
        case .copyListeners(let answer): answer(copyOfListeners())
        case .setIntake(let isOpen): isIntakeOpen = isOpen
        }
    }

    private func end(_ numbers: Set<UInt64>) -> Int {
        let ending = sessions.all.filter { numbers.contains($0.record.id) && !$0.machine.hasEnded }
        for session in ending { session.endByAdmin() }
        return ending.count
    }
}
