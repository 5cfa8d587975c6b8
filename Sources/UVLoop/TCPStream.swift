internal import CUV

/// The events of a stream, for the owner of its current stage.
///
/// While the stream is closing, only ``streamDidClose(_:)`` is reported.
package protocol TCPStreamDelegate: AnyObject {
    /// ``TCPStream/connect(to:)`` has ended, with or without an error.
    func stream(_ stream: TCPStream, didConnect error: UVError?)

    /// The buffer for the next bytes. It must stay valid until ``stream(_:didRead:)``, which follows at once. An empty
    /// buffer leaves the bytes in the socket. The stream must not be paused here, but it may be when 0 was read.
    func bufferForReading(_ stream: TCPStream) -> UnsafeMutableRawBufferPointer

    /// The number of bytes read into the buffer. 0 if nothing has come after all.
    func stream(_ stream: TCPStream, didRead count: Int)

    /// The peer has ended its direction.
    func streamDidEnd(_ stream: TCPStream)

    /// Reading or writing has failed: the stream can't be used any more. If ``TCPStream/codecFailure`` has a reason,
    /// the error is ``UVError/protocolError``.
    func stream(_ stream: TCPStream, didFail error: UVError)

    /// Everything given to ``TCPStream/write(_:_:)`` is written.
    func streamDidWrite(_ stream: TCPStream)

    func streamDidClose(_ stream: TCPStream)
}

/// One TCP connection on a loop, or one accepted from a unix socket.
///
/// - Isolation: the loop's thread.
/// - Ownership: kept alive by its handle until ``TCPStreamDelegate/streamDidClose(_:)``. The delegate isn't retained
///   and must exist until then.
package final class TCPStream: HandleOwner {
    @exclusivity(unchecked) package unowned var delegate: (any TCPStreamDelegate)?
    @exclusivity(unchecked) private var raw: OpaquePointer?
    @exclusivity(unchecked) private(set) var isClosing = false
    /// If `nil`, the bytes of the wire are the payload.
    @exclusivity(unchecked) private var coded: CodedWire?

    /// A stream that isn't connected yet. Throws `ENOMEM`.
    package init(on loop: EventLoop, delegate: (any TCPStreamDelegate)? = nil) throws(UVError) {
        self.delegate = delegate
        guard let raw = cuv_tcp_create(loop.raw, retainForHandle()) else {
            releaseByHandle()
            throw .outOfMemory
        }
        self.raw = raw
    }

    /// Takes over an accepted connection; if libuv refuses it, it is closed and the stream stays unconnected.
    package func adopt(_ accepted: consuming AcceptedDescriptor) throws(UVError) {
        let descriptor = accepted.take()
        let result = cuv_tcp_adopt(handle, descriptor)
        if result < 0 {
            cuv_descriptor_close(descriptor)
            throw UVError(code: result)
        }
    }

    /// Takes a copy of a connected socket that was opened elsewhere. Throws `ENOTSOCK`, `EPROTOTYPE` if it isn't a
    /// stream, `ENOTCONN`, and the errors of dup(2).
    package func adopt(copyOf descriptor: Int32) throws(UVError) {
        try adopt(AcceptedDescriptor(number: UVError.check(cuv_connected_duplicate(descriptor))))
    }

    /// Begins to connect (`uv_tcp_connect`), with TCP_NODELAY. Immediate failures are thrown.
    package func connect(to address: SocketAddress, by egress: EgressOptions = EgressOptions())
        throws(UVError)
    {
        var raw = address.raw
        let result = egress.withRaw(isIPv6: address.isIPv6) { cuv_tcp_connect(handle, &raw, $0) }
        try UVError.check(result)
    }

    /// Connects to a unix socket at once (unix(7)): nothing is reported later. Throws `EAGAIN` if its queue is full,
    /// and the errors of socket(2) and connect(2).
    package func connect(toUnix path: String) throws(UVError) {
        try UVError.check(cuv_tcp_connect_unix(handle, path))
    }

    /// From now on detects when the peer has vanished (SO_KEEPALIVE). Accepted streams always do. A connection that
    /// lasts less time than others may be idle can do without.
    package func keepAlive() {
        cuv_tcp_keepalive(handle)
    }

    /// The address of this end (`uv_tcp_getsockname`).
    package func localAddress() throws(UVError) -> SocketAddress {
        var address = cuv_address()
        try UVError.check(cuv_tcp_local_address(handle, &address))
        return SocketAddress(address)
    }

    package func startReading() throws(UVError) {
        if let coded { return try coded.startReading() }
        try startReadingWire()
    }

    /// Leaves bytes in the socket until ``startReading()``; an end or a reset isn't noticed until then either.
    package func stopReading() {
        if let coded { return coded.stopReading() }
        stopReadingWire()
    }

    package enum PeerState: Equatable {
        case present
        /// The peer has ended its direction, possibly after bytes that are still unread.
        case ended
        case gone(UVError)
    }

    /// The peer's state on a stream that isn't being read, because no event reports it. Takes a system call; `gone` is
    /// reported only once.
    package var peerState: PeerState {
        switch cuv_tcp_peer_state(handle) {
        case 0: .present
        case Int32(CUV_EOF): .ended
        case let code: .gone(UVError(code: code))
        }
    }

    /// How far the peer has acknowledged the bytes sent to it (TCP_INFO); times are in milliseconds.
    package struct SendState {
        /// Segments in flight, including an end.
        package var unacknowledgedSegments: UInt32
        /// Unanswered probes of a closed window since the last acknowledgement.
        package var unansweredProbes: UInt32
        /// Time since the last acknowledgement.
        package var silence: UInt32
        /// Time between two attempts.
        package var retransmissionTimeout: UInt32

        package init(
            unacknowledgedSegments: UInt32,
            unansweredProbes: UInt32,
            silence: UInt32,
            retransmissionTimeout: UInt32
        ) {
            self.unacknowledgedSegments = unacknowledgedSegments
            self.unansweredProbes = unansweredProbes
            self.silence = silence
            self.retransmissionTimeout = retransmissionTimeout
        }
    }

    /// Takes a system call. Throws the errors of getsockopt(2).
    package func sendState() throws(UVError) -> SendState {
        var state = cuv_send_state()
        try UVError.check(cuv_tcp_send_state(handle, &state))
        return SendState(
            unacknowledgedSegments: state.unacknowledged,
            unansweredProbes: state.probes,
            silence: state.silence,
            retransmissionTimeout: state.timeout
        )
    }

    /// Writes the bytes that the socket accepts at once (send(2)), `first` then `second`; at least one must not be
    /// empty.
    ///
    /// - Returns: the number of bytes written, 0 if the socket accepts none now.
    package func tryWrite(
        _ first: UnsafeRawBufferPointer,
        _ second: UnsafeRawBufferPointer
    ) throws(UVError) -> Int {
        guard coded == nil else { return try tryWriteCoded(first, second) }
        return try tryWriteWire(first, second)
    }

    /// Passes sockets to the process at the other end of a unix socket, together with the first of these bytes.
    ///
    /// - Parameter bytes: at least one for every 128 sockets. Must not be called while a write is pending.
    /// - Returns: how many of the bytes were written. Throws the errors of sendmsg(2).
    package func pass(_ handed: HandedSockets, with bytes: UnsafeRawBufferPointer) throws(UVError) -> Int {
        let descriptors = handed.sockets.map(\.descriptor)
        guard let base = bytes.baseAddress, bytes.count * Int(CUV_DESCRIPTORS_A_BYTE) >= descriptors.count
        else {
            throw .invalidArgument
        }
        let result = cuv_tcp_pass(handle, descriptors, descriptors.count, base)
        guard result >= 0 else { throw UVError(code: Int32(truncatingIfNeeded: result)) }
        return result
    }

    /// The number of bytes that the socket would accept at once, or a little less. Takes two system calls.
    package var sendRoom: Int { cuv_tcp_send_room(handle) }

    /// Writes everything (`uv_write`), `first` then `second`; at least one must not be empty.
    ///
    /// The memory must stay unchanged until ``TCPStreamDelegate/streamDidWrite(_:)``. One write at a time.
    package func write(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) throws(UVError) {
        if let coded { return try coded.write(Payload(first, second)) }
        try writeWire(first, second)
    }

    /// Ends our direction at once (shutdown(2)). Only while no write is pending.
    package func shutDown() throws(UVError) {
        if let coded { return try coded.shutDown() }
        try shutDownWire()
    }

    /// The connection for a stream of another loop, where it continues after this stream is closed. `nil` if
    /// descriptors have run out, or if bytes are still waiting to pass through the codec.
    package func passOn() -> HandedDescriptor? {
        if let coded, !coded.isSettled { return nil }
        let descriptor = cuv_tcp_duplicate(handle)
        guard descriptor >= 0 else { return nil }
        let codec = coded?.codec
        coded?.close()
        coded = nil
        return HandedDescriptor(AcceptedDescriptor(number: descriptor), codec)
    }

    /// Closes; further calls do nothing. Unwritten bytes of a pending write are lost (`uv_close`).
    package func close() {
        guard !isClosing else { return }
        coded?.sayGoodbye()
        isClosing = true
        cuv_tcp_close(handle)
    }

    /// Closes with a reset instead of an end.
    package func reset() {
        guard !isClosing else { return }
        isClosing = true
        cuv_tcp_reset(handle)
    }

    // MARK: - Codec

    /// Passes all bytes through a codec from now on. Only while no write is pending.
    ///
    /// - Parameter wire: bytes that were already read from the socket; the codec decodes them first.
    package func install(
        _ codec: any StreamCodec,
        on loop: EventLoop,
        behind wire: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) throws(UVError) {
        let coded = CodedWire(codec, of: self, on: loop)
        self.coded = coded
        try coded.begin(behind: wire)
    }

    /// Whether there is a codec between the wire and the payload, so that nothing can be spliced.
    package var isCoded: Bool { coded != nil }

    package var codec: (any StreamCodec)? { coded?.codec }

    /// Why the codec has failed; `nil` if it hasn't.
    package var codecFailure: CodecFailure? { coded?.failure }

    // A separate function, so that streams without a codec don't pay for it.

    @inline(never)
    private func tryWriteCoded(
        _ first: UnsafeRawBufferPointer,
        _ second: UnsafeRawBufferPointer
    ) throws(UVError) -> Int {
        try coded?.tryWrite(Payload(first, second)) ?? 0
    }

    @inline(never)
    private func codedBufferWanted() -> cuv_buffer {
        coded?.bufferWanted() ?? cuv_buffer(base: nil, length: 0)
    }

    @inline(never)
    private func receivedCoded(_ count: Int) { coded?.received(count) }

    var handle: OpaquePointer {
        guard let raw else { preconditionFailure("a closed stream is used") }
        return raw
    }

    // MARK: - Wire

    func startReadingWire() throws(UVError) {
        try UVError.check(cuv_tcp_read_start(handle))
    }

    func stopReadingWire() {
        cuv_tcp_read_stop(handle)
    }

    func tryWriteWire(
        _ first: UnsafeRawBufferPointer,
        _ second: UnsafeRawBufferPointer
    ) throws(UVError) -> Int {
        let result = withBuffers(first, second) { cuv_tcp_try_write(handle, $0, $1) }
        if result == UVError.tryAgain.code { return 0 }
        guard result >= 0 else { throw UVError(code: Int32(truncatingIfNeeded: result)) }
        return result
    }

    func writeWire(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) throws(UVError) {
        try UVError.check(withBuffers(first, second) { cuv_tcp_write(handle, $0, $1) })
    }

    func shutDownWire() throws(UVError) {
        try UVError.check(cuv_tcp_shutdown(handle))
    }

    private func withBuffers<Result>(
        _ first: UnsafeRawBufferPointer,
        _ second: UnsafeRawBufferPointer,
        _ body: (UnsafePointer<cuv_buffer>, UInt32) -> Result
    ) -> Result {
        // libuv asserts that no buffer is empty.
        var buffers = (
            cuv_buffer(base: UnsafeMutableRawPointer(mutating: first.baseAddress), length: first.count),
            cuv_buffer(base: UnsafeMutableRawPointer(mutating: second.baseAddress), length: second.count)
        )
        precondition(first.count > 0, "a write of nothing")
        return withUnsafePointer(to: &buffers) { pair in
            pair.withMemoryRebound(to: cuv_buffer.self, capacity: 2) { body($0, second.isEmpty ? 1 : 2) }
        }
    }

    // MARK: - Callbacks

    func connected(_ status: Int32) {
        guard !isClosing else { return }
        delegate?.stream(self, didConnect: status < 0 ? UVError(code: status) : nil)
    }

    func bufferWanted() -> cuv_buffer {
        guard coded == nil else { return codedBufferWanted() }
        guard !isClosing, let buffer = delegate?.bufferForReading(self) else {
            return cuv_buffer(base: nil, length: 0)
        }
        return cuv_buffer(base: buffer.baseAddress, length: buffer.count)
    }

    func received(_ count: Int) {
        guard !isClosing else { return }
        guard coded == nil else { return receivedCoded(count) }
        if count >= 0 {
            delegate?.stream(self, didRead: count)
        } else if count == Int(CUV_EOF) {
            delegate?.streamDidEnd(self)
        } else {
            delegate?.stream(self, didFail: UVError(code: Int32(truncatingIfNeeded: count)))
        }
    }

    func written(_ status: Int32) {
        guard !isClosing else { return }
        if let coded { return coded.written(status) }
        if status < 0 {
            delegate?.stream(self, didFail: UVError(code: status))
        } else {
            delegate?.streamDidWrite(self)
        }
    }

    func closed() {
        raw = nil
        coded?.close()
        delegate?.streamDidClose(self)
        releaseByHandle()
    }

    deinit {
        assert(raw == nil, "a stream must be closed")
    }
}
