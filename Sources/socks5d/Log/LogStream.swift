internal import Locks

/// The lines on their way to one place: a queue that holds a limited number of bytes. Adding never waits.
///
/// Each line is either written or counted as dropped, never both.
///
/// Any thread, except for ``take()`` and the members after it, which are the writer's.
final class LogStream: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var lines = 0
        /// Taken by the writer, but not written yet.
        var taken = 0
        var dropped = 0
        /// Of the dropped lines, those already reported.
        var told = 0
        var written = 0
    }

    let place: LogPlace
    /// Whether losses are reported in the stream itself. If false, ``LogWriter`` reports them in the messages.
    let tellsOfLosses: Bool
    private let capacity: Int
    private let state = Guarded(State())
    private let wake: @Sendable () -> Void

    /// - Parameters:
    ///   - capacity: in bytes.
    ///   - wake: wakes the writer if the queue was empty.
    init(_ place: LogPlace, capacity: Int, tellsOfLosses: Bool, wake: @escaping @Sendable () -> Void) {
        self.place = place
        self.capacity = capacity
        self.tellsOfLosses = tellsOfLosses
        self.wake = wake
    }

    /// - Parameter line: including its end.
    /// - Returns: false if there was no room.
    @discardableResult
    func add(_ line: [UInt8]) -> Bool {
        let place: Int? = state.withLock { state in
            guard state.bytes.count + state.taken + line.count <= capacity else {
                state.dropped += 1
                return nil
            }
            state.bytes += line
            state.lines += 1
            return state.lines
        }
        if place == 1 { wake() }
        return place != nil
    }

    /// Lines lost since the start.
    var dropped: Int { state.withLock { $0.dropped } }
    var written: Int { state.withLock { $0.written } }

    /// Whether no lines are waiting or being written.
    var isEmpty: Bool { state.withLock { $0.lines == 0 && $0.taken == 0 } }

    /// - Returns: the lost lines that weren't reported before. They count as reported now.
    func takeLosses() -> Int {
        state.withLock { state in
            defer { state.told = state.dropped }
            return state.dropped - state.told
        }
    }

    /// The report itself was lost.
    func giveBackLosses(_ lines: Int) { state.withLock { $0.told -= lines } }

    // MARK: - The writer

    /// Takes all waiting lines, if the writer has none in progress. The queue and `bytes` are swapped, so that no
    /// memory is allocated in the long run.
    func take(into bytes: inout [UInt8]) {
        state.withLock { state in
            guard state.taken == 0, state.lines > 0 else { return }
            state.taken = state.bytes.count
            swap(&state.bytes, &bytes)
            state.bytes.removeAll(keepingCapacity: true)
            state.lines = 0
        }
    }

    /// The writer is done with everything that it has taken.
    func didFinish(written: Int, lost: Int) {
        state.withLock { state in
            state.taken = 0
            state.written += written
            state.dropped += lost
        }
    }
}
