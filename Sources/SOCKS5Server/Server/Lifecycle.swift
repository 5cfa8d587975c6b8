/// The stage of a ``ProxyServer``'s life.
public enum ServerStage: String, Sendable {
    /// Not started yet.
    case idle
    case starting
    case running
    /// Accepts no new clients, and waits for its sessions to end.
    case draining
    case ended
}

/// The life of a server: idle, starting, running, draining, ended. Decides what each call does, at any
/// moment; for example a stop during the start.
///
/// Pure: the server performs the action that an event returns.
struct Lifecycle {
    private enum Stage {
        case idle
        /// Threads start, one after the other. After a stop no further thread starts.
        case starting(threads: Int, isStopping: Bool)
        case running(threads: Int)
        /// The threads have been told to stop.
        case draining(threads: Int)
        case ended
    }

    /// The action that the server must perform.
    enum Action: Equatable {
        case nothing
        /// Tell every worker to stop, including those that start later.
        case stopWorkers
        /// Resume all calls that wait for the end.
        case reportEnd
    }

    /// Why a start is refused.
    enum Refusal: Equatable {
        case alreadyStarted, stopped
    }

    private var stage = Stage.idle

    /// The current stage of the server.
    var current: ServerStage {
        switch stage {
        case .idle: .idle
        case .starting(_, let isStopping): isStopping ? .draining : .starting
        case .running: .running
        case .draining: .draining
        case .ended: .ended
        }
    }

    /// Whether a stop was requested or the start has failed, and no thread is running any more.
    var hasEnded: Bool {
        switch stage {
        case .ended: true
        case .idle, .starting, .running, .draining: false
        }
    }

    /// Whether a stop was requested, or the start has failed.
    var isStopping: Bool {
        switch stage {
        case .idle, .running: false
        case .starting(_, let isStopping): isStopping
        case .draining, .ended: true
        }
    }

    /// - Returns: `nil` if the server starts now, until ``startDidSucceed()`` or ``startDidFail()``.
    mutating func start() -> Refusal? {
        switch stage {
        case .idle:
            stage = .starting(threads: 0, isStopping: false)
            return nil
        case .starting, .running:
            return .alreadyStarted
        case .draining, .ended:
            return .stopped
        }
    }

    /// Call it before starting a thread. A thread that can't be started counts as ended.
    ///
    /// - Returns: false if it must not start because of a stop.
    mutating func threadWillStart() -> Bool {
        switch stage {
        case .starting(let threads, let isStopping):
            if !isStopping { stage = .starting(threads: threads + 1, isStopping: false) }
            return !isStopping
        case .idle, .running, .draining, .ended:
            preconditionFailure("a thread starts while the server doesn't")
        }
    }

    /// A thread has finished its work for the server.
    mutating func threadDidEnd() -> Action {
        switch stage {
        case .starting(let threads, let isStopping):
            precondition(threads > 0, "more threads have ended than started")
            stage = .starting(threads: threads - 1, isStopping: isStopping)
            return .nothing
        case .running(let threads):
            precondition(threads > 1, "all threads have ended, and nobody has stopped them")
            stage = .running(threads: threads - 1)
            return .nothing
        case .draining(let threads):
            return drain(threads - 1)
        case .idle, .ended:
            preconditionFailure("more threads have ended than started")
        }
    }

    /// All threads have started.
    mutating func startDidSucceed() -> Action {
        switch stage {
        case .starting(let threads, let isStopping):
            if isStopping { return drain(threads) }
            stage = .running(threads: threads)
            return .nothing
        case .idle, .running, .draining, .ended:
            preconditionFailure("the start ends twice, or before it began")
        }
    }

    /// The start has failed: threads that already run must stop.
    mutating func startDidFail() -> Action {
        switch stage {
        case .starting(let threads, let isStopping):
            let action = drain(threads)
            // A stop has already told the workers, and how much time they have.
            return action == .nothing && !isStopping ? .stopWorkers : action
        case .idle, .running, .draining, .ended:
            preconditionFailure("the start ends twice, or before it began")
        }
    }

    /// May be called at any moment, and again: a later stop can grant less time.
    mutating func stop() -> Action {
        switch stage {
        case .idle:
            stage = .ended
            return .reportEnd
        case .starting(let threads, _):
            stage = .starting(threads: threads, isStopping: true)
            return .stopWorkers
        case .running(let threads):
            stage = .draining(threads: threads)
            return .stopWorkers
        case .draining:
            return .stopWorkers
        case .ended:
            return .nothing
        }
    }

    private mutating func drain(_ threads: Int) -> Action {
        stage = threads == 0 ? .ended : .draining(threads: threads)
        return threads == 0 ? .reportEnd : .nothing
    }
}
