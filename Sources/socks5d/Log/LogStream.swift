internal import Locks

/// The lines on their way to one place: a queue that has room for so many bytes. Adding never waits.
///
/// Each line is either written or counted as dropped, and never both.
///
/// Any thread, but for ``take()`` and what follows it, which are the writer's.
final class LogStream: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var lines = 0
        /// Taken by the writer, and not written yet.
        var taken = 0
        var dropped = 0
        /// Of those, told of already.
        var told = 0
        var written = 0
    }

    let place: LogPlace
    /// Said in lines of the stream itself; `nil`: by ``LogWriter`` among the messages.
    let tellsOfLosses: Bool
    private let capacity: Int
    private let state = Guarded(State())
    private let wake: @Sendable () -> Void

    /// - Parameters:
    ///   - capacity: bytes.
    ///   - wake: lets the writer look, where the queue was empty.
    init(_ place: LogPlace, capacity: Int, tellsOfLosses: Bool, wake: @escaping @Sendable () -> Void) {
        self.place = place
        self.capacity = capacity
        self.tellsOfLosses = tellsOfLosses
        self.wake = wake
    }

    /// - Parameter line: with its end.
    /// - Returns: false where there was no room.
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

    /// Lines that are lost since the start.
    var dropped: Int { state.withLock { $0.dropped } }
    var written: Int { state.withLock { $0.written } }

    /// Whether nothing is on its way.
    var isEmpty: Bool { state.withLock { $0.lines == 0 && $0.taken == 0 } }

    /// - Returns: the lines that are lost and were not told of. They are now.
    func takeLosses() -> Int {
        state.withLock { state in
            defer { state.told = state.dropped }
            return state.dropped - state.told
        }
    }

    /// The telling was lost itself.
    func giveBackLosses(_ lines: Int) { state.withLock { $0.told -= lines } }

    // MARK: - The writer

    /// All that waits, where nothing is in its hands still. The queue and `bytes` change places, so that no memory is
    /// allocated in the long run.
    func take(into bytes: inout [UInt8]) {
        state.withLock { state in
            guard state.taken == 0, state.lines > 0 else { return }
            state.taken = state.bytes.count
            swap(&state.bytes, &bytes)
            state.bytes.removeAll(keepingCapacity: true)
            state.lines = 0
        }
    }

    /// All that was taken is out of its hands.
    func didFinish(written: Int, lost: Int) {
        state.withLock { state in
            state.taken = 0
            state.written += written
            state.dropped += lost
        }
    }
}
