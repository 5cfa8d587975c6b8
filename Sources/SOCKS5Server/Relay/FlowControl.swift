/// Decides when one direction of a relay reads, writes, waits and ends.
///
/// Full means pause; half drained means resume; ended means drain first. Pure: events in, actions out. Peers can't
/// cause an illegal pair of state and event; such a pair is our bug, and traps.
struct FlowControl {
    /// `paused` waits for room, `heldBack` for bandwidth.
    private enum Source { case reading, paused, heldBack, ended }
    private enum Sink { case detached, idle, writing, finished }

    enum Action: Equatable {
        case none
        /// Write the contents of the ring; ``wrote(_:)`` must be called when they are written, completely or in part.
        case write
        case pauseSource
        case resumeSource
        /// The ring is empty and not needed until the source sends more.
        case returnBuffer
        case returnBufferAndResumeSource
        case resumeSourceAndWrite
        /// Send the end to the sink: this direction is over.
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

    /// The owner has consumed bytes itself, before there was a sink.
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

    /// The owner needs more than the bytes held, and has made room for them.
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

    /// Bytes of ``Action/write`` were written; `fill` is what is left.
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

    /// The sink has accepted only a part of the bytes of ``Action/write``, or none; `fill` is what is left.
    /// ``wrote(_:)`` will still be called.
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

    /// There is a sink from now on.
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

    /// The source has bytes, but they may not be read yet.
    mutating func heldBack() -> Action {
        precondition(source == .reading, "a source held back that isn't read")
        source = .heldBack
        return .pauseSource
    }

    /// They may be read from now on.
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
