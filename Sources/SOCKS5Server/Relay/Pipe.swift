internal import ProxyPolicy
internal import UVLoop

/// One direction of a session: sends the bytes of its source to its sink, with backpressure.
///
/// The ring is on loan from the first byte that is read until the last one is written, usually within one callback.
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by the relay. The relay also owns the streams, which outlive the pipe's use of them.
final class Pipe: BandwidthWaiter {
    /// The relay that it belongs to and reports to.
    unowned var relay: Relay?
    private let pool: BufferPool
    private let counters: Counters
    @exclusivity(unchecked) private var source: TCPStream?
    @exclusivity(unchecked) private var sink: TCPStream?
    // The small members are adjacent, so that they share a word.
    @exclusivity(unchecked) private var flow = FlowControl()
    /// The size of the next loan: it follows how many bytes the reads return.
    @exclusivity(unchecked) private var size = BufferPool.Size.tiny
    /// The counter of the payload, once there is some.
    @exclusivity(unchecked) private var counter: Counter?
    @exclusivity(unchecked) private var acknowledgements = Acknowledgements()
    @exclusivity(unchecked) private var ring = RingBuffer()
    @exclusivity(unchecked) private var lane = SpliceLane()
    /// The bytes of the queued write, which stay in the ring until it is finished.
    @exclusivity(unchecked) private var pendingWrite = 0
    /// Limits the bytes read, once there is payload. `nil` for no limit.
    @exclusivity(unchecked) var meter: Meter?
    /// Counts the bytes written for the user, once there is payload.
    @exclusivity(unchecked) var tally: UserActivity.Tally?
    /// Payload passed to the sink.
    @exclusivity(unchecked) private(set) var bytesWritten = 0
    /// ``bytesWritten`` at the last check of acknowledgements, or a number that it never has.
    @exclusivity(unchecked) private var bytesLookedAt = Int.min

    init(_ pool: BufferPool, _ counters: Counters, from source: TCPStream? = nil, to sink: TCPStream? = nil) {
        self.pool = pool
        self.counters = counters
        self.source = source
        if let sink { attach(sink: sink) }
    }

    /// The bytes that follow are payload, after a reply that may still wait in the ring. The small ring of the
    /// handshake is replaced.
    ///
    /// - Parameter mayBeSpliced: whether the bytes of both sockets are the payload itself.
    func beginPayload(behind reply: Bool, mayBeSpliced: Bool) {
        counter = reply ? .bytesTargetToClient : .bytesClientToTarget
        size = .medium
        bytesWritten = reply ? -ring.count : 0
        lane.beginPayload(mayBeSpliced ? pool.pipes.splicing : .never)
        // Bytes that have come after the request.
        if !reply && !ring.isEmpty { meter?.take(ring.count) }
    }

    var isEmpty: Bool { ring.isEmpty }

    /// If false, the source waits for room or for bandwidth, or has ended, and no event reports that it has gone.
    var isReading: Bool { flow.isReading }

    var hasFinished: Bool { flow.hasFinished }
    var sourceHasEnded: Bool { flow.sourceHasEnded }

    // MARK: Source

    /// - Returns: an empty buffer if nothing may be read yet, or if the bytes are to be spliced; then ``didRead(_:)``
    ///   follows at once, and pauses or splices.
    func bufferForReading() -> UnsafeMutableRawBufferPointer {
        let nothing = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        if lane.isOpen && ring.loan == nil { return nothing }
        guard let meter else { return room() }
        switch meter.allowance() {
        case .bytes(let limit): return UnsafeMutableRawBufferPointer(rebasing: room().prefix(limit))
        case .notBefore: return nothing
        }
    }

    private func room() -> UnsafeMutableRawBufferPointer {
        if ring.loan == nil { ring = pool.isShort ? briefRing() : pool.lend(size) }
        // A full ring pauses its source, except a ring that holds a part of a message.
        if ring.count == ring.capacity { move(to: pool.lend(size)) }
        return ring.writable
    }

    /// If memory is short, no more is read than the sink accepts at once: the rest would occupy memory for as long as
    /// the sink stalls. So streams that don't stall get large rings even beside thousands that do.
    private func briefRing() -> RingBuffer {
        let fitting = BufferPool.Size.within(sink?.sendRoom ?? 0)
        return pool.lend(min(size, fitting), isBrief: fitting > .tiny)
    }

    private func move(to other: consuming RingBuffer) {
        other.append(ring)
        returnBuffer()
        ring = other
    }

    func didRead(_ count: Int) {
        guard count > 0 else {
            returnBufferIfEmpty()
            return didReadNothing()
        }
        meter?.take(count)
        adaptSize(to: count)
        ring.append(count)
        perform(flow.received(ring.fill))
        lane.note(count, wasTakenAtOnce: ring.isEmpty, pool.pipes)
    }

    private func didReadNothing() {
        switch meter?.allowance() ?? .bytes(.max) {
        case .bytes(let limit):
            if lane.isOpen && ring.loan == nil { splice(atMost: limit) }
        case .notBefore(let time):
            perform(flow.heldBack())
            meter?.wake(self, at: time)
        }
    }

    private func splice(atMost limit: Int) {
        guard let source else { return }
        do throws(UVError) {
            let room = pool.isShort ? max(sink?.sendRoom ?? 0, BufferPool.Size.tiny.bytes) : .max
            let count = try lane.fill(
                from: source,
                atMost: min(limit, room),
                isBrief: room < .max,
                pool.pipes
            )
            guard count > 0 else { return }
            meter?.take(count)
            perform(flow.received(fill))
        } catch {
            fail(at: source, error)
        }
    }

    /// The time for which the source was held back is over, completely or in part, or the pipe is closed.
    func bandwidthMayHaveCome() {
        guard let meter else { return }
        switch meter.allowance() {
        case .bytes: perform(flow.released())
        case .notBefore(let time):
            // A pipe that waits for bandwidth isn't idle.
            relay?.noteActivity()
            meter.wake(self, at: time)
        }
    }

    func sourceDidEnd() {
        returnBufferIfEmpty()
        meter?.giveBack()
        relay?.streamFellSilent()
        perform(flow.sourceEnded())
    }

    /// Payload that came before the source was attached.
    func receive(early bytes: [UInt8]) {
        meter?.take(bytes.count)
        let room = room()
        precondition(bytes.count <= room.count, "more early bytes than fit beside a reply")
        room.copyBytes(from: bytes)
        ring.append(bytes.count)
        perform(flow.received(ring.fill))
    }

    /// Sends bytes of the server itself instead of the source's.
    func send(_ bytes: [UInt8]) {
        let room = room()
        precondition(bytes.count <= room.count, "a message larger than the room for it")
        room.copyBytes(from: bytes)
        ring.append(bytes.count)
        perform(flow.received(ring.fill))
    }

    /// Bulk transfers grow into large rings, where a system call moves more; interactive ones return to small rings.
    private func adaptSize(to count: Int) {
        if ring.isEmpty && count == ring.capacity {
            size = size.larger
        } else if count < ring.capacity / 8 && size > .small {
            size = size.smaller
        }
    }

    // MARK: Before there is a sink

    /// Passes the bytes that have come and weren't consumed to `body`. ``awaitMore()`` keeps a message at the ring's
    /// first byte, so that it is contiguous.
    func withHeldBytes<Result, Failure>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(ring.readable().first.bytes)
    }

    /// Hands the bytes that have come and weren't consumed over to `body`.
    func passHeldBytes<Failure>(_ body: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
        try body(ring.readable().first)
        discard()
    }

    /// Consumed bytes are overwritten: otherwise a password would stay in memory that others borrow.
    func consume(_ count: Int) {
        ring.erase(count)
        ring.removeFirst(count)
        perform(flow.consumed(ring.fill))
    }

    /// Holds a part of a message until more of it comes, and makes room for that, since earlier messages may have
    /// filled the ring and paused the source. Nearly all messages are shorter than the smallest ring; a GSSAPI token
    /// gets a larger one each time it has filled its own.
    func awaitMore() {
        holdSparingly()
        ring.moveToFront()
        let isFull = ring.count == ring.capacity && ring.count >= BufferPool.Size.tiny.bytes
        if isFull && !grow() { return fail(at: source, .outOfMemory) }
        perform(flow.madeRoom())
    }

    /// - Returns: false if memory is short.
    private func grow() -> Bool {
        let larger = pool.lend(.holding(ring.count + 1))
        guard larger.capacity > ring.count else {
            pool.takeBack(larger)
            return false
        }
        move(to: larger)
        return true
    }

    /// Holds bytes in memory of exactly their size, so that a stalled client costs no more than its bytes.
    func holdSparingly() {
        let most = min(ring.capacity, BufferPool.Size.tiny.bytes) / 2
        if !ring.isEmpty && ring.count <= most { move(to: pool.lendExactly(ring.count)) }
    }

    func discard() {
        consume(ring.count)
    }

    /// Leaves new bytes in the socket until ``release()``.
    func holdBack() {
        if flow.isReading { perform(flow.heldBack()) }
    }

    func release() {
        if flow.isHeldBack { perform(flow.released()) }
    }

    func attach(source: TCPStream) {
        self.source = source
    }

    func attach(sink: TCPStream) {
        self.sink = sink
        perform(flow.sinkAttached(ring.fill))
    }

    // MARK: Sink

    func didWrite() {
        ring.removeFirst(pendingWrite)
        count(pendingWrite)
        pendingWrite = 0
        perform(flow.wrote(fill))
    }

    /// A lane that holds bytes can't accept others, nor can a ring whose sink stalls while memory is short.
    private var fill: RingBuffer.Fill {
        lane.holdsBytes || pendingWrite > 0 && pool.isShort ? .full : ring.fill
    }

    /// Writes as much as the sink accepts at once, and queues the rest, but at most half of the ring: a queued write
    /// reports only its end, and the source must continue when half is free. Bytes of a lane that the sink doesn't
    /// accept are treated in the same way, in a ring of the stream's size.
    private func write() {
        guard let sink else { preconditionFailure("a write to nowhere") }
        do {
            if !ring.isEmpty { try writeRing(to: sink) }
            if ring.isEmpty && lane.holdsBytes { try writeLane(to: sink) }
            if ring.isEmpty { return perform(flow.wrote(.empty)) }
            let rest = ring.readable(limit: max(1, ring.capacity / 2))
            try sink.write(rest.first, rest.second)
            pendingWrite = rest.first.count + rest.second.count
            perform(flow.wroteNotAll(fill))
        } catch {
            fail(at: sink, error)
        }
    }

    /// A separate function, so that other paths don't pay for it.
    @inline(never)
    private func countForUser(_ payload: Int) {
        tally?.add(UInt64(payload), direction)
    }

    /// The direction of the payload.
    private var direction: Direction { counter == .bytesTargetToClient ? .targetToClient : .clientToTarget }

    /// Bytes of the reply, before the payload, count as negative.
    private func count(_ written: Int) {
        let before = max(0, bytesWritten)
        bytesWritten += written
        guard let counter, bytesWritten > before else { return }
        counters.add(counter, UInt64(bytesWritten - before))
        if tally != nil { countForUser(bytesWritten - before) }
    }

    private func writeRing(to sink: TCPStream) throws(UVError) {
        let (first, second) = ring.readable()
        let written = try sink.tryWrite(first, second)
        ring.removeFirst(written)
        count(written)
    }

    private func writeLane(to sink: TCPStream) throws(UVError) {
        let drained = try lane.drain(to: sink, pool.pipes)
        count(drained)
        counters.addSpliced(UInt64(drained), direction)
        guard lane.holdsBytes else { return }
        if ring.loan == nil { ring = pool.lend(.holding(lane.count)) }
        ring.append(try lane.spill(into: ring.writable, pool.pipes))
    }

    /// Whether the sink's peer has owed acknowledgements for so long that it must have vanished.
    ///
    /// - Parameter interval: milliseconds since the last check.
    func sinkHasVanished(_ interval: UInt64) -> Bool {
        guard let sink, bytesLookedAt != bytesWritten || !acknowledgements.isSettled || !ring.isEmpty else {
            return false
        }
        bytesLookedAt = bytesWritten
        guard let state = try? sink.sendState() else { return false }
        return acknowledgements.look(state, interval: interval)
    }

    // MARK: Actions

    private func perform(_ action: FlowControl.Action) {
        switch action {
        case .none:
            break
        case .write:
            write()
        case .pauseSource:
            source?.stopReading()
            relay?.streamFellSilent()
        case .resumeSource:
            resumeSource()
        case .returnBuffer:
            returnBufferIfEmpty()
        case .returnBufferAndResumeSource:
            returnBufferIfEmpty()
            resumeSource()
        case .resumeSourceAndWrite:
            resumeSource()
            write()
        case .returnBufferAndFinish:
            returnBufferIfEmpty()
            finish()
        }
    }

    private func resumeSource() {
        do {
            try source?.startReading()
        } catch {
            fail(at: source, error)
        }
    }

    /// Sends the end to the sink's peer: this direction is over.
    private func finish() {
        do {
            bytesLookedAt = .min
            if relay?.closesWithNextPipe != true { try sink?.shutDown() }
            relay?.pipeDidFinish()
        } catch {
            fail(at: sink, error)
        }
    }

    private func fail(at stream: TCPStream?, _ error: UVError) {
        if let stream { relay?.stream(stream, didFail: error) }
    }

    private func returnBufferIfEmpty() {
        if ring.isEmpty { returnBuffer() }
    }

    private func returnBuffer() {
        if !lane.carriesPayload { ring.erase(ring.count) }
        var returned = RingBuffer()
        swap(&returned, &ring)
        pool.takeBack(returned)
    }

    /// Returns the memory with its contents. The streams must be closed, since a queued write reads it.
    func close() {
        lane.discard(pool.pipes)
        returnBuffer()
        meter?.giveBack()
        meter = nil
        tally = nil
        source = nil
        sink = nil
    }
}
