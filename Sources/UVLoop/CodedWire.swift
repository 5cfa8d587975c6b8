internal import CUV

/// The bytes of one stream between wire and payload, converted by a ``StreamCodec``.
///
/// To its owner the stream behaves like one without a codec: payload counts as written when the socket has accepted the
/// bytes that it was encoded to, and an owner that pauses gets nothing more, even if more was read already.
///
/// - Isolation: the loop's thread.
/// - Ownership: owned by the stream.
final class CodedWire {
    let codec: any StreamCodec
    private(set) var failure: CodecFailure?
    /// Whether the owner wants payload.
    private var isWanted = false
    private unowned let stream: TCPStream
    private let loop: EventLoop

    // MARK: What comes

    /// Bytes that were read and not yet decoded.
    private var held = HeldWire()
    /// The number of bytes of the current decode call that are left.
    private var undecoded = 0
    /// The owner's buffer, from ``bufferWanted()`` until ``received(_:)``.
    private var room: UnsafeMutableRawBufferPointer?
    private var isDecoding = false
    /// Whether the codec may have more payload without reading more of the wire, because there was no room for it.
    private var mayHavePayload = false
    private var isWireRead = false
    private var hasEnded = false

    // MARK: What goes

    /// Bytes of the wire that libuv has queued.
    private var flying: HeldWire?
    /// The codec's own messages, which follow those bytes.
    private var messages: [UInt8] = []
    /// Payload that the owner has queued.
    private var payload: Payload?
    /// The number of bytes at the front of the payload that are encoded already: the encoded bytes are being written,
    /// or are written.
    private var encodedAhead = 0
    private var endsWhenSent = false
    /// Whether the stream no longer needs it, or is gone.
    private var isOver = false

    /// The least that is read from the wire at once, in bytes, even if there is less room for payload: a record.
    private static let leastRead = 16 << 10
    /// The most payload that is encoded at once, in bytes. Encoded bytes that the socket doesn't accept must be held.
    private static let most = (usual: 128 << 10, whereMemoryIsShort: 4 << 10)
    /// The most messages, in bytes, that a peer can provoke without reading them.
    private static let mostMessages = 64 << 10

    init(_ codec: any StreamCodec, of stream: TCPStream, on loop: EventLoop) {
        self.codec = codec
        self.stream = stream
        self.loop = loop
    }

    func begin(behind wire: UnsafeRawBufferPointer) throws(UVError) {
        if !wire.isEmpty {
            held = HeldWire(wire, loop.wireMemory)
            mayHavePayload = true
        }
        try sendMessages()
    }

    /// Whether nothing is in progress.
    var isSettled: Bool {
        held.count == 0 && undecoded == 0 && flying == nil && messages.isEmpty && payload == nil
    }

    // MARK: - Reading

    func startReading() throws(UVError) {
        isWanted = true
        guard !isDecoding, !hasEnded else { return }
        if mayHavePayload { loop.wake(self) } else { try readWire() }
    }

    func stopReading() {
        isWanted = false
        leaveWire()
    }

    private func readWire() throws(UVError) {
        isWireRead = true
        try stream.startReadingWire()
    }

    private func leaveWire() {
        isWireRead = false
        stream.stopReadingWire()
    }

    func bufferWanted() -> cuv_buffer {
        guard !stream.isClosing, let room = stream.delegate?.bufferForReading(stream), !room.isEmpty else {
            return cuv_buffer(base: nil, length: 0)
        }
        self.room = room
        let incoming = loop.wire.incoming
        incoming.copyMemory(from: held.bytes)
        let length = min(max(room.count, Self.leastRead), incoming.count - held.count)
        return cuv_buffer(base: incoming.baseAddress.map { $0 + held.count }, length: length)
    }

    func received(_ count: Int) {
        let room = room
        self.room = nil
        guard let room, count != 0 else { return deliver(0) }
        guard count > 0 else {
            isWireRead = false
            return count == Int(CUV_EOF)
                ? wireDidEnd() : fail(UVError(code: Int32(truncatingIfNeeded: count)))
        }
        let length = held.count + count
        held = HeldWire()
        decode(UnsafeRawBufferPointer(rebasing: loop.wire.incoming[..<length]), into: room)
    }

    /// Called when the owner wants payload again, or when libuv has let others have their turn.
    func goOn() {
        // `isOver` is checked first, because the stream may no longer exist.
        guard !isOver, !stream.isClosing else { return }
        if flying == nil { continuePayload() }
        guard !stream.isClosing, isWanted, mayHavePayload, !isDecoding else { return }
        var taken = HeldWire()
        swap(&taken, &held)
        withExtendedLifetime(taken) { decode($0.bytes, into: nil) }
    }

    /// - Parameter room: the owner's buffer. If `nil`, the owner is asked for one.
    private func decode(_ wire: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer?) {
        isDecoding = true
        defer { isDecoding = false }
        mayHavePayload = false
        var wire = wire
        var next = room
        repeat {
            guard let room = next ?? stream.delegate?.bufferForReading(stream), !room.isEmpty else {
                mayHavePayload = true
                deliver(0)
                break
            }
            next = nil
            guard fill(room, from: &wire) else { return }
        } while isWanted && mayHavePayload
        guard !stream.isClosing else { return }
        held = wire.isEmpty ? HeldWire() : HeldWire(wire, loop.wireMemory)
        undecoded = 0
        settleReading()
    }

    /// Decodes until the room is full, and forwards the payload and any other event.
    ///
    /// - Returns: false if nothing more will come by this stream.
    private func fill(_ room: UnsafeMutableRawBufferPointer, from wire: inout UnsafeRawBufferPointer) -> Bool
    {
        var filled = 0
        var step = CodecStep(consumed: 0, produced: 0)
        do throws(CodecFailure) {
            repeat {
                let left = UnsafeMutableRawBufferPointer(rebasing: room[filled...])
                step = try codec.decode(wire, into: left)
                wire = UnsafeRawBufferPointer(rebasing: wire[step.consumed...])
                filled += step.produced
            } while filled < room.count && (step.consumed > 0 || step.produced > 0)
        } catch {
            failure = error
        }
        mayHavePayload = filled == room.count
        undecoded = wire.count
        do throws(UVError) {
            try sendMessages()
        } catch {
            if failure == nil { return failed(error) }
        }
        deliver(filled)
        if stream.isClosing { return false }
        if failure != nil { return failed(.protocolError) }
        if codec.peerHasEnded {
            end()
            return false
        }
        if flying == nil { continuePayload() }
        return !stream.isClosing
    }

    private func failed(_ error: UVError) -> Bool {
        fail(error)
        return false
    }

    private func settleReading() {
        if hasEnded || !isWanted { return }
        if mayHavePayload {
            // The owner wants bytes, but had no room. The next turn may bring some.
            leaveWire()
            return loop.wake(self)
        }
        guard !isWireRead else { return }
        do throws(UVError) {
            try readWire()
        } catch {
            fail(error)
        }
    }

    private func deliver(_ count: Int) {
        stream.delegate?.stream(stream, didRead: count)
    }

    private func wireDidEnd() {
        do throws(CodecFailure) {
            try codec.wireDidEnd(undecoded: held.count)
            end()
        } catch {
            failure = error
            fail(.protocolError)
        }
    }

    private func end() {
        hasEnded = true
        isWanted = false
        leaveWire()
        stream.delegate?.streamDidEnd(stream)
    }

    private func fail(_ error: UVError) {
        if !stream.isClosing { stream.delegate?.stream(stream, didFail: error) }
    }

    // MARK: - Writing

    /// See ``TCPStream/tryWrite(_:_:)``.
    func tryWrite(_ payload: Payload) throws(UVError) -> Int {
        guard flying == nil, self.payload == nil else { return 0 }
        var rest = payload
        while true {
            takeEncoded(from: &rest)
            guard !rest.isEmpty, flying == nil, try encodeAndSend(rest) else { break }
        }
        return payload.count - rest.count
    }

    /// See ``TCPStream/write(_:_:)``.
    func write(_ payload: Payload) throws(UVError) {
        precondition(self.payload == nil, "a write before the end of another")
        self.payload = payload
        // The owner must not be called from here: it is told after this call.
        if flying == nil { loop.wake(self) }
    }

    /// Drops the payload whose encoded bytes the socket has accepted.
    private func takeEncoded(from payload: inout Payload) {
        guard flying == nil else { return }
        let sent = min(encodedAhead, payload.count)
        encodedAhead -= sent
        payload.removeFirst(sent)
    }

    private func continuePayload() {
        guard var rest = payload else { return }
        do throws(UVError) {
            while true {
                takeEncoded(from: &rest)
                guard !rest.isEmpty else {
                    payload = nil
                    stream.delegate?.streamDidWrite(stream)
                    return
                }
                payload = rest
                guard flying == nil, try encodeAndSend(rest) else { return }
            }
        } catch {
            fail(error)
        }
    }

    /// - Returns: whether anything was encoded.
    private func encodeAndSend(_ payload: Payload) throws(UVError) -> Bool {
        let wire = loop.wire.outgoing
        let most = loop.wireMemory?.isShort == true ? Self.most.whereMemoryIsShort : Self.most.usual
        var rest = payload
        var produced = 0
        var step = CodecStep(consumed: 0, produced: 0)
        do throws(CodecFailure) {
            repeat {
                let piece = rest.piece
                let wanted = min(piece.count, most - encodedAhead)
                step = try codec.encode(
                    UnsafeRawBufferPointer(rebasing: piece[..<wanted]),
                    into: UnsafeMutableRawBufferPointer(rebasing: wire[produced...])
                )
                rest.removeFirst(step.consumed)
                encodedAhead += step.consumed
                produced += step.produced
            } while step.consumed > 0 && !rest.isEmpty && encodedAhead < most
                && wire.count - produced >= CodecStep.wireRoom
        } catch {
            failure = error
            throw .protocolError
        }
        try send(UnsafeRawBufferPointer(rebasing: wire[..<produced]))
        try sendMessages()
        return rest.count < payload.count
    }

    private func sendMessages() throws(UVError) {
        let room = loop.wire.outgoing
        while true {
            let count = codec.takeMessages(into: room)
            guard count > 0 else { return }
            try send(UnsafeRawBufferPointer(rebasing: room[..<count]))
        }
    }

    private func send(_ wire: UnsafeRawBufferPointer) throws(UVError) {
        guard !wire.isEmpty else { return }
        guard flying == nil else {
            guard messages.count + wire.count <= Self.mostMessages else { throw .noBuffers }
            return messages.append(contentsOf: wire)
        }
        let sent = try stream.tryWriteWire(wire, UnsafeRawBufferPointer(start: nil, count: 0))
        if sent < wire.count { try fly(UnsafeRawBufferPointer(rebasing: wire[sent...])) }
    }

    private func fly(_ wire: UnsafeRawBufferPointer) throws(UVError) {
        let rest = HeldWire(wire, loop.wireMemory)
        let bytes = rest.bytes
        flying = consume rest
        try stream.writeWire(bytes, UnsafeRawBufferPointer(start: nil, count: 0))
    }

    func written(_ status: Int32) {
        flying = nil
        guard status >= 0 else { return fail(UVError(code: status)) }
        do throws(UVError) {
            if !messages.isEmpty {
                let next = messages
                messages = []
                return try next.withUnsafeBufferPointer { next throws(UVError) in
                    try fly(UnsafeRawBufferPointer(next))
                }
            }
            if endsWhenSent { return try stream.shutDownWire() }
        } catch {
            return fail(error)
        }
        continuePayload()
    }

    func shutDown() throws(UVError) {
        codec.end()
        try sendMessages()
        if flying == nil { try stream.shutDownWire() } else { endsWhenSent = true }
    }

    // MARK: - The end

    /// Sends the end, as far as the socket accepts it at once: the stream is about to be closed.
    func sayGoodbye() {
        guard flying == nil, payload == nil, failure == nil else { return }
        codec.end()
        let count = codec.takeMessages(into: loop.wire.outgoing)
        guard count > 0 else { return }
        let goodbye = UnsafeRawBufferPointer(rebasing: loop.wire.outgoing[..<count])
        // An error doesn't matter: the peer has already left.
        _ = try? stream.tryWriteWire(goodbye, UnsafeRawBufferPointer(start: nil, count: 0))
    }

    /// Call it after the stream's close: then no queued write reads the memory any more.
    func close() {
        isOver = true
        flying = nil
        held = HeldWire()
        payload = nil
    }
}
