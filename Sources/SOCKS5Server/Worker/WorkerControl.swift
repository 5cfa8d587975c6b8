internal import Text
internal import UVLoop

/// An operator's commands to a worker. Answers are delivered on the worker's thread.
enum WorkerControl: Sendable {
    /// List the sessions.
    case list(@Sendable ([SessionInfo]) -> Void)
    /// List the sessions that have ended recently.
    case listEnded(@Sendable ([SessionInfo]) -> Void)
    /// End the sessions with these numbers; answer how many existed.
    case end(Set<UInt64>, @Sendable (Int) -> Void)
    /// End the sessions that the current policy refuses, and those of these users; answer how many there were.
    case endRefused(Set<[UInt8]>, @Sendable (Int) -> Void)
    /// Answer, to show that the loop is running.
    case answer(@Sendable (Bool) -> Void)
    /// Copy the listening sockets, with the indices of their listeners.
    case copyListeners(@Sendable ([(listener: Int, socket: ListeningSocket)]) -> Void)
    /// Start or stop accepting new clients.
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
