internal import UVLoop

/// The events that a relay reports to its session.
protocol RelayDelegate: AnyObject {
    /// Only before there is a target.
    func clientDidSend()
    /// Only before there is a target; possibly after bytes that aren't read yet.
    func clientDidEnd()
    func relayDidEnd(_ how: Relay.End)
    /// Called after ``Relay/close(byReset:)``, when no stream is open any more.
    func relayDidClose()
}

/// Client and target of a session, and the two pipes between them, from the accept to the end.
///
/// Until there is a target, the session reads the client's bytes. Bytes of the handshake are read into the pipe that
/// will carry the payload, and replies are sent through the opposite pipe, so that their order is always right. From
/// then on the relay works on its own: it moves bytes, sets the idle deadlines, detects peers that have gone, and
/// reports its end.
///
/// - Isolation: the worker's thread.
/// - Ownership: owned by the session. It owns the streams and the pipes, and is the delegate of the streams until they
///   are closed.
final class Relay: TCPStreamDelegate {
    /// How the relay has ended; the session ends with it.
    enum End: Equatable {
        /// Both directions have ended, or a client from which nothing more is expected has left.
        case completed
        case aborted(by: SessionOutcome.Side, UVError)
        /// A side has sent bytes that its codec can't decode.
        case undecodable(by: SessionOutcome.Side, CodecFailure)
        /// A refused client doesn't stop sending.
        case flooded
    }

    private enum Stage {
        /// The session reads the client's bytes.
        case opening
        case relaying
        /// The client's bytes are discarded.
        case discarding
        /// The last message is being sent, and this many bytes were drained since.
        case refusing(drained: Int)
        case closing
    }

    /// The most bytes that a client may send after a refusal. Draining them lets it read the answer before the
    /// connection is reset.
    private static let mostDrained = 1 << 20

    private unowned let delegate: any RelayDelegate
    private let loop: EventLoop
    private let clock: Clock
    /// The session's slot.
    private let slot: Clock.Slot
    // Stored together with the slot in one word.
    @exclusivity(unchecked) private var openStreams: UInt8 = 0
    @exclusivity(unchecked) private var finishedPipes: UInt8 = 0
    @exclusivity(unchecked) private var hasKeepalive = false
    /// The side whose direction has ended first.
    @exclusivity(unchecked) private(set) var firstEnd: SessionOutcome.Side?
    let client: TCPStream
    @exclusivity(unchecked) private var target: TCPStream?
    let clientToTarget: Pipe
    let targetToClient: Pipe
    @exclusivity(unchecked) private var stage = Stage.opening

    /// - Throws: `ENOMEM`.
    init(
        _ delegate: any RelayDelegate,
        _ loop: EventLoop,
        _ clock: Clock,
        _ slot: Clock.Slot,
        _ pool: BufferPool,
        _ counters: Counters
    ) throws(UVError) {
        self.delegate = delegate
        self.loop = loop
        self.clock = clock
        self.slot = slot
        client = try TCPStream(on: loop)
        clientToTarget = Pipe(pool, counters, from: client)
        targetToClient = Pipe(pool, counters, to: client)
        client.delegate = self
        clientToTarget.relay = self
        targetToClient.relay = self
        openStreams = 1
    }

    // MARK: - Stages

    /// Begins to read the client's handshake.
    ///
    /// - Parameter codec: converts all bytes of the client.
    func open(_ accepted: consuming AcceptedDescriptor, through codec: (any StreamCodec)?) throws(UVError) {
        try client.adopt(accepted)
        if let codec { try client.install(codec, on: loop) }
        try client.startReading()
    }

    /// From now on a codec converts the client's bytes, starting with those that have come and weren't consumed.
    /// Everything for the client must have been sent before.
    func install(_ codec: any StreamCodec) throws(UVError) {
        precondition(targetToClient.isEmpty, "bytes for the client are in front of a codec")
        try clientToTarget.passHeldBytes { bytes throws(UVError) in
            try client.install(codec, on: loop, behind: bytes)
        }
        if clientToTarget.isReading { try client.startReading() }
    }

    /// Sends the reply, then the client's early bytes, and continues on its own.
    ///
    /// - Parameters:
    ///   - target: connected, and owned by the relay from now on.
    ///   - early: bytes that it has sent already.
    ///   - tally: counts the payload for the user.
    ///   - meter: limits a direction.
    func begin(
        with target: TCPStream,
        _ reply: [UInt8],
        _ early: [UInt8] = [],
        _ tally: UserActivity.Tally?,
        meter: (Direction) -> Meter?
    ) {
        self.target = target
        openStreams += 1
        target.delegate = self
        clientToTarget.meter = meter(.clientToTarget)
        targetToClient.meter = meter(.targetToClient)
        clientToTarget.tally = tally
        targetToClient.tally = tally
        stage = .relaying
        noteActivity()
        targetToClient.send(reply)
        guard case .relaying = stage else { return }
        let mayBeSpliced = !client.isCoded && !target.isCoded
        clientToTarget.beginPayload(behind: false, mayBeSpliced: mayBeSpliced)
        targetToClient.beginPayload(behind: true, mayBeSpliced: mayBeSpliced)
        if !early.isEmpty { targetToClient.receive(early: early) }
        guard case .relaying = stage else { return }
        targetToClient.attach(source: target)
        do throws(UVError) {
            // If the client hasn't accepted the reply yet, the pipe resumes the target itself.
            if targetToClient.isReading { try target.startReading() }
        } catch {
            return stream(target, didFail: error)
        }
        clientToTarget.attach(sink: target)
    }

    /// The client's connection for another worker, where it continues after this one is closed. `nil` if descriptors
    /// have run out, or if bytes for the client are still here.
    func passClientOn() -> HandedDescriptor? { targetToClient.isEmpty ? client.passOn() : nil }

    /// From now on the client's stream only reports when the client leaves.
    func discard() {
        stage = .discarding
        clientToTarget.discard()
    }

    /// Sends the last message, ends our direction, and drains the client's: closing with unread bytes would reset the
    /// connection, and the reset would overtake the message.
    func refuse(sending message: [UInt8]) {
        stage = .refusing(drained: 0)
        targetToClient.send(message)
        guard case .refusing = stage else { return }
        targetToClient.sourceDidEnd()
        guard case .refusing = stage else { return }
        clientToTarget.discard()
    }

    private func drain(_ bytes: Int) {
        stage = .refusing(drained: bytes)
        if bytes > Self.mostDrained { return delegate.relayDidEnd(.flooded) }
        clientToTarget.discard()
    }

    /// A refusal is over when the client has received all of it and has left.
    private func endIfRefusalIsOver() {
        if finishedPipes > 0 && clientToTarget.sourceHasEnded { delegate.relayDidEnd(.completed) }
    }

    /// - Parameter byReset: whether the peers see a reset.
    func close(byReset: Bool) {
        stage = .closing
        for stream in [client, target] {
            if byReset { stream?.reset() } else { stream?.close() }
        }
    }

    /// The streams are closed, so no queued write needs the memory any longer.
    func giveMemoryBack() {
        clientToTarget.close()
        targetToClient.close()
    }

    // MARK: - Pipes

    /// Whether the end of one more pipe closes both streams. Closing announces the end as well as a shutdown does,
    /// since no unread bytes are left that would turn it into a reset.
    var closesWithNextPipe: Bool { finishedPipes == 1 }

    func pipeDidFinish() {
        finishedPipes += 1
        switch stage {
        case .relaying: if finishedPipes == 2 { delegate.relayDidEnd(.completed) } else { noteActivity() }
        case .refusing: endIfRefusalIsOver()
        case .opening, .discarding, .closing: break
        }
    }

    /// Bytes have moved, or wait for bandwidth.
    func noteActivity() {
        guard case .relaying = stage else { return }
        clock.set(finishedPipes == 0 ? .idle : .halfClosed, for: slot)
    }

    private func pipe(from stream: TCPStream) -> Pipe {
        stream === client ? clientToTarget : targetToClient
    }

    private func pipe(to stream: TCPStream) -> Pipe {
        stream === client ? targetToClient : clientToTarget
    }

    private func side(of stream: TCPStream) -> SessionOutcome.Side { stream === client ? .client : .target }

    // MARK: - Peers that have gone

    /// A stream isn't read from now on. Costs nothing if a check is due anyway.
    func streamFellSilent() {
        clock.awaitLook(of: slot)
    }

    /// Checks whether streams that aren't read have ended, because no event reports that.
    ///
    /// - Returns: whether to check again.
    func look() -> Bool {
        // Only now, since setting keepalive up takes four system calls, and most sessions end earlier.
        if case .relaying = stage, !hasKeepalive {
            hasKeepalive = true
            target?.keepAlive()
        }
        let isClientSilent = look(at: client)
        let isTargetSilent = target.map { look(at: $0) } ?? false
        if case .closing = stage { return false }
        return isClientSilent || isTargetSilent
    }

    /// - Returns: whether the stream isn't being read.
    private func look(at stream: TCPStream) -> Bool {
        if case .closing = stage { return false }
        guard isSilent(stream) else { return false }
        switch stream.peerState {
        case .present: break
        case .ended: if case .opening = stage { delegate.clientDidEnd() }
        case .gone(let error): delegate.relayDidEnd(.aborted(by: side(of: stream), error))
        }
        return true
    }

    /// A stream that has ended both ways has nothing more to report.
    private func isSilent(_ stream: TCPStream) -> Bool {
        let source = pipe(from: stream)
        return !source.isReading && !(source.sourceHasEnded && pipe(to: stream).hasFinished)
    }

    /// Ends the relay if a peer has vanished, so that bytes sent to it are never acknowledged.
    ///
    /// - Parameter interval: milliseconds since the last check.
    func lookForVanishedPeers(_ interval: UInt64) {
        if case .closing = stage { return }
        if clientToTarget.sinkHasVanished(interval) {
            delegate.relayDidEnd(.aborted(by: .target, .timedOut))
        } else if targetToClient.sinkHasVanished(interval) {
            delegate.relayDidEnd(.aborted(by: .client, .timedOut))
        }
    }

    // MARK: - TCPStreamDelegate

    func stream(_ stream: TCPStream, didConnect error: UVError?) {
        preconditionFailure("only the dialer connects")
    }

    func bufferForReading(_ stream: TCPStream) -> UnsafeMutableRawBufferPointer {
        // Not through `pipe(from:)`, which would retain the pipe.
        stream === client ? clientToTarget.bufferForReading() : targetToClient.bufferForReading()
    }

    func stream(_ stream: TCPStream, didRead count: Int) {
        noteActivity()
        if stream === client { clientToTarget.didRead(count) } else { targetToClient.didRead(count) }
        switch stage {
        case .relaying, .closing: break
        case .opening: delegate.clientDidSend()
        case .discarding: clientToTarget.discard()
        case .refusing(let drained): drain(drained + count)
        }
    }

    func streamDidEnd(_ stream: TCPStream) {
        switch stage {
        case .relaying:
            noteActivity()
            if firstEnd == nil { firstEnd = side(of: stream) }
            pipe(from: stream).sourceDidEnd()
        case .opening:
            clientToTarget.sourceDidEnd()
            delegate.clientDidEnd()
        case .discarding:
            delegate.relayDidEnd(.completed)
        case .refusing:
            clientToTarget.sourceDidEnd()
            endIfRefusalIsOver()
        case .closing:
            break
        }
    }

    func stream(_ stream: TCPStream, didFail error: UVError) {
        if let failure = stream.codecFailure {
            delegate.relayDidEnd(.undecodable(by: side(of: stream), failure))
        } else {
            delegate.relayDidEnd(.aborted(by: side(of: stream), error))
        }
    }

    func streamDidWrite(_ stream: TCPStream) {
        noteActivity()
        pipe(to: stream).didWrite()
    }

    func streamDidClose(_ stream: TCPStream) {
        openStreams -= 1
        if openStreams == 0, case .closing = stage { delegate.relayDidClose() }
    }
}
