internal import CUV

/// The events of a loop.
package protocol EventLoopDelegate: AnyObject {
    /// Another thread has posted to the loop's ``Mailbox``. Several posts may lead to one call.
    func loopWoken()
    /// The timer set by ``EventLoop/setTimer(after:)`` has fired.
    func loopTimerFired()
}

/// One libuv loop (`uv_loop_t`).
///
/// - Isolation: the thread that created it. Nothing that belongs to a loop is `Sendable`, so the compiler keeps it on
///   that thread. ``Mailbox`` is the only way in from other threads.
/// - Ownership: streams, listeners, UDP sockets and lookups must be closed before ``close()``.
package final class EventLoop {
    let raw: OpaquePointer
    private unowned var delegate: (any EventLoopDelegate)?
    /// The loop writes into its memory, so it is kept alive here.
    private let turns: TurnTimes?
    /// Room for wire bytes of streams with a codec. Allocated on first use.
    private(set) lazy var wire = WireRoom()
    /// Limits the memory of wire bytes that must wait. `nil` for no limit.
    package var wireMemory: (any WireMemory)?
    /// Streams that hold bytes for which there may be room now.
    private var waiting: [CodedWire] = []

    /// - Parameters:
    ///   - readBudget: bytes that one stream may deliver before the others get their turn.
    ///   - turns: records how long the callbacks of each turn take.
    package init(readBudget: Int, turns: TurnTimes? = nil) throws(UVError) {
        var callbacks = Self.callbacks
        var created: OpaquePointer?
        self.turns = turns
        try UVError.check(cuv_loop_create(&callbacks, readBudget, turns?.forLoop, &created))
        guard let created else { throw .outOfMemory }
        raw = created
    }

    /// Serves until ``finish()`` was called and everything that belongs to the loop is closed.
    package func run(_ delegate: any EventLoopDelegate) {
        self.delegate = delegate
        cuv_loop_run(raw, Unmanaged.passUnretained(self).toOpaque())
        self.delegate = nil
    }

    /// Lets ``run(_:)`` return when the last handle is closed and the last lookup has come back.
    package func finish() {
        cuv_loop_finish(raw)
    }

    /// Frees the loop (`uv_loop_close`). Throws `EBUSY`, and frees nothing, while anything is open.
    package func close() throws(UVError) {
        try UVError.check(cuv_loop_destroy(raw))
    }

    /// Milliseconds on a monotonic clock, as of this turn of the loop (`uv_now`).
    package var now: UInt64 { cuv_loop_now(raw) }

    /// (Re)arms the loop's only timer: ``EventLoopDelegate/loopTimerFired()`` is called once.
    package func setTimer(after milliseconds: UInt64) {
        cuv_loop_set_timer(raw, milliseconds)
    }

    /// Lets `wire` continue after the current callback.
    func wake(_ wire: CodedWire) {
        waiting.append(wire)
        cuv_loop_wake(raw)
    }

    private func wasWoken() {
        if !waiting.isEmpty {
            let woken = waiting
            waiting = []
            for wire in woken { wire.goOn() }
        }
        delegate?.loopWoken()
    }

    /// Every callback of libuv enters Swift here, and is forwarded to the object that its handle belongs to.
    private static var callbacks: cuv_callbacks {
        cuv_callbacks(
            woken: { EventLoop.with($0) { $0.wasWoken() } },
            timer_fired: { EventLoop.with($0) { $0.delegate?.loopTimerFired() } },
            accepted: { owner, descriptor, peer in
                TCPListener.with(owner) { $0.accepted(descriptor, peer) }
            },
            accept_failed: { owner, error in TCPListener.with(owner) { $0.acceptFailed(error) } },
            listener_closed: { TCPListener.of($0).closed() },
            connected: { owner, status in TCPStream.with(owner) { $0.connected(status) } },
            buffer_wanted: { TCPStream.with($0) { $0.bufferWanted() } },
            received: { owner, count in TCPStream.with(owner) { $0.received(count) } },
            written: { owner, status in TCPStream.with(owner) { $0.written(status) } },
            stream_closed: { TCPStream.of($0).closed() },
            datagram_buffer_wanted: { UDPSocket.with($0) { $0.bufferWanted() } },
            datagram_received: { owner, datagram, peer in
                UDPSocket.with(owner) { $0.received(datagram, peer) }
            },
            datagram_sent: { owner, payload, status in UDPSocket.with(owner) { $0.sent(payload, status) } },
            datagram_socket_closed: { UDPSocket.of($0).closed() },
            resolved: { NameLookup.of($0).resolved($1, $2, $3) }
        )
    }
}

extension EventLoop: HandleOwner {}

/// A class whose objects are the owners of handles in libuv's callbacks.
///
/// The handle holds one reference from its opening to its close callback, so the object exists for all callbacks in
/// between.
protocol HandleOwner: AnyObject {}

extension HandleOwner {
    /// For a callback during which the handle, and its reference, may go away.
    static func of(_ owner: UnsafeMutableRawPointer?) -> Self {
        guard let owner else { preconditionFailure("a handle without an owner") }
        return Unmanaged<Self>.fromOpaque(owner).takeUnretainedValue()
    }

    /// For all other callbacks, without another retain: they run for every read.
    static func with<Result>(_ owner: UnsafeMutableRawPointer?, _ body: (Self) -> Result) -> Result {
        guard let owner else { preconditionFailure("a handle without an owner") }
        return Unmanaged<Self>.fromOpaque(owner)._withUnsafeGuaranteedRef(body)
    }

    /// Adds the reference that a handle holds from now on, and returns it as the handle's owner pointer.
    func retainForHandle() -> UnsafeMutableRawPointer {
        Unmanaged.passRetained(self).toOpaque()
    }

    /// Releases the handle's reference; the only counterpart of ``retainForHandle()``.
    func releaseByHandle() {
        Unmanaged.passUnretained(self).release()
    }
}
