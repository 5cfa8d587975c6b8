import Locks
import TestSupport

/// Answers all that ask when the test permits it.
final class AnswerGate<Answer: Sendable>: Sendable {
    private struct State {
        var waiting: [Int: CheckedContinuation<Answer, Never>] = [:]
        var asked = 0
        var cancelled = 0
    }

    private let state = Guarded(State())
    private let cancelledAnswer: Answer

    init(cancelled: Answer) {
        cancelledAnswer = cancelled
    }

    var asked: Int { state.withLock { $0.asked } }
    var cancelled: Int { state.withLock { $0.cancelled } }

    func wait() async -> Answer {
        let number = state.withLock { state in
            state.asked += 1
            return state.asked
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                state.withLock { $0.waiting[number] = continuation }
                if Task.isCancelled { cancel(number) }
            }
        } onCancel: {
            cancel(number)
        }
    }

    private func cancel(_ number: Int) {
        let continuation = state.withLock { state in
            let continuation = state.waiting.removeValue(forKey: number)
            if continuation != nil { state.cancelled += 1 }
            return continuation
        }
        continuation?.resume(returning: cancelledAnswer)
    }

    func open(_ answer: Answer) throws {
        try eventually("somebody waits") { state.withLock { !$0.waiting.isEmpty } }
        let all = state.withLock { state in
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in all.values { continuation.resume(returning: answer) }
    }
}
