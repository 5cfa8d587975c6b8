/// When one direction of a relay reads, writes, waits and ends.
///
/// Full means pause; half drained means resume; ended means drain first. Pure: events in, actions out. Peers
/// can't cause an illegal pair of state and event; one is a bug of ours, and traps.
struct FlowControl {
    /// Paused for want of room, held back for want of bandwidth.
    private enum Source { case reading, paused, heldBack, ended }
    private enum Sink { case detached, idle, writing, finished }

    enum Action: Equatable {
        case none
        /// Write what the ring holds; ``wrote(_:)`` comes when that, or a part of it, is written.
        case write
        case pauseSource
        case resumeSource
        /// The ring is empty and not needed until the source has more.
        case returnBuffer
        case returnBufferAndResumeSource
        case resumeSourceAndWrite
        /// Tell the sink the end: this direction is over.
        case returnBufferAndFinish
    }

    private var source = Source.reading
    private var sink = Sink.detached

    var sourceHasEnded: Bool { source == .ended }
    var isReading: Bool { source == .reading }
    var isHeldBack: Bool { source == .heldBack }
    var hasFinished: Bool { sink == .finished }

    /// Bytes have come from the source.
    mutating func received(_ fill: RingBuffer.Fill) -> Action {
        precondition(source == .reading && fill != .empty, "bytes from a source that isn't read")
        switch sink {
        case .idle:
            sink = .writing
            return .write
        case .detached, .writing:
            guard fill == .full else { return .none }
            source = .paused
            return .pauseSource
        case .finished:
            preconditionFailure("bytes behind the end")
        }
    }

    /// The owner has dealt with bytes itself, before there was a sink.
    mutating func consumed(_ fill: RingBuffer.Fill) -> Action {
        precondition(sink == .detached, "bytes taken from a relay")
        switch (source, fill) {
        case (.paused, .empty):
            source = .reading
            return .returnBufferAndResumeSource
        case (.reading, .empty), (.heldBack, .empty), (.ended, .empty):
            return .returnBuffer
        case (.reading, _), (.paused, _), (.heldBack, _), (.ended, _):
            return .none
        }
    }

    /// The owner needs more than is held, and has made room for it.
    mutating func madeRoom() -> Action {
        precondition(sink == .detached, "room made in a relay")
        switch source {
        case .paused:
            source = .reading
            return .resumeSource
        case .reading, .heldBack, .ended:
            return .none
        }
    }

    /// What was asked for by ``Action/write`` is written, and so much is left.
    mutating func wrote(_ fill: RingBuffer.Fill) -> Action {
        precondition(sink == .writing, "written without a write")
        guard fill == .empty else { return wroteAPart(fill) }
        switch source {
        case .reading, .heldBack:
            sink = .idle
            return .returnBuffer
        case .paused:
            sink = .idle
            source = .reading
            return .returnBufferAndResumeSource
        case .ended:
            sink = .finished
            return .returnBufferAndFinish
        }
    }

    /// Of what was asked for by ``Action/write``, the sink has taken a part or nothing at once, so much is left, and
    /// ``wrote(_:)`` is still to come.
    mutating func wroteNotAll(_ fill: RingBuffer.Fill) -> Action {
        precondition(sink == .writing, "written without a write")
        guard source == .reading, fill == .full else { return .none }
        source = .paused
        return .pauseSource
    }

    private mutating func wroteAPart(_ fill: RingBuffer.Fill) -> Action {
        switch (source, fill) {
        case (.paused, .halfFree):
            source = .reading
            return .resumeSourceAndWrite
        case (.paused, _), (.reading, _), (.heldBack, _), (.ended, _):
            return .write
        }
    }

    /// There is somewhere to write to from now on.
    mutating func sinkAttached(_ fill: RingBuffer.Fill) -> Action {
        precondition(sink == .detached, "a second sink")
        if fill != .empty {
            sink = .writing
            return .write
        }
        switch source {
        case .reading, .paused, .heldBack:
            sink = .idle
            return .none
        case .ended:
            sink = .finished
            return .returnBufferAndFinish
        }
    }

    /// The source has bytes, but they may not be taken yet.
    mutating func heldBack() -> Action {
        precondition(source == .reading, "a source held back that isn't read")
        source = .heldBack
        return .pauseSource
    }

    /// They may be taken from now on.
    mutating func released() -> Action {
        precondition(source == .heldBack, "a source released that isn't held back")
        source = .reading
        return .resumeSource
    }

    /// No more bytes will come.
    mutating func sourceEnded() -> Action {
        precondition(source != .ended, "an end behind the end")
        source = .ended
        switch sink {
        case .idle:
            sink = .finished
            return .returnBufferAndFinish
        case .detached, .writing:
            return .none
        case .finished:
            preconditionFailure("finished before the end")
        }
    }
}
