/// Answers that an embedder's code gives to a worker later, in tasks of their own.
///
/// Nothing of a session leaves its thread: an answer comes through the mailbox, with the number of a question. The
/// question may have been abandoned meanwhile.
///
/// - Isolation: the worker's thread.
/// - Ownership: holds the asker until the question is answered or abandoned.
final class PendingAnswers<Answer: Sendable> {
    /// Identifies a question until it is answered or abandoned.
    struct Ticket {
        fileprivate let number: UInt64
    }

    private let post: @Sendable (UInt64, Answer) -> Void
    private let unavailable: Answer
    private var pending: [UInt64: (task: Task<Void, Never>, answered: (Answer) -> Void)] = [:]
    private var numbers: UInt64 = 0

    /// - Parameters:
    ///   - unavailable: the answer if the task throws.
    ///   - post: passes an answer to the worker's thread, which calls ``pass(_:to:)``.
    init(unavailable: Answer, _ post: @escaping @Sendable (UInt64, Answer) -> Void) {
        self.unavailable = unavailable
        self.post = post
    }

    /// - Parameter answered: called at most once, and never before this returns.
    func begin(
        _ answer: @escaping @Sendable () async throws -> Answer,
        _ answered: @escaping (Answer) -> Void
    ) -> Ticket {
        numbers += 1
        let number = numbers
        let task = Task { [post, unavailable] in
            do {
                post(number, try await answer())
            } catch {
                post(number, unavailable)
            }
        }
        pending[number] = (task, answered)
        return Ticket(number: number)
    }

    /// Abandons a question whose answer isn't needed any more.
    func giveUp(_ ticket: Ticket) {
        pending.removeValue(forKey: ticket.number)?.task.cancel()
    }

    /// Answers all pending questions with this answer.
    func passAll(_ answer: Answer) {
        for (number, question) in pending {
            question.task.cancel()
            pass(answer, to: number)
        }
    }

    func pass(_ answer: Answer, to number: UInt64) {
        pending.removeValue(forKey: number)?.answered(answer)
    }
}
