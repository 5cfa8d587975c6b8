internal import CUV

/// What a loop reports to the one that runs it.
package protocol EventLoopDelegate: AnyObject {
    /// Another thread has posted to the loop's ``Mailbox``; several posts may have become one call.
    func loopWoken()
    /// The time set by ``EventLoop/setTimer(after:)`` has come.
    func loopTimerFired()
}

/// One libuv loop (`uv_loop_t`).
///
/// - Isolation: the thread that created it. Nothing that belongs to a loop is `Sendable`, so that the compiler
///   keeps it in that thread; the one door is ``Mailbox``.
/// - Ownership: streams, listeners, UDP sockets and lookups must be closed before ``close()``.
package final class EventLoop {
    let raw: OpaquePointer
    private unowned var delegate: (any EventLoopDelegate)?
    /// The loop writes into its memory.
    private let turns: TurnTimes?
    /// Where bytes of the wire pass by that have a codec. No memory until there are some.
    private(set) lazy var wire = WireRoom()
    /// Who bounds the memory of bytes of the wire that must wait; `nil`: nobody does.
    package var wireMemory: (any WireMemory)?
    /// They hold bytes for which there may be room now.
    private var waiting: [CodedWire] = []

    /// - Parameters:
    ///   - readBudget: bytes that one stream may deliver before the others get their turn.
    ///   - turns: is told how long the callbacks of each turn take.
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

    /// (Re)arms the loop's one timer: ``EventLoopDelegate/loopTimerFired()`` comes once.
    package func setTimer(after milliseconds: UInt64) {
        cuv_loop_set_timer(raw, milliseconds)
    }

    /// Lets `wire` go on, behind the callback that runs.
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

    /// Every callback of libuv enters Swift here, and is passed to the object that its handle belongs to.
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

/// A class whose objects come back from libuv as the owner of a handle.
///
/// The handle holds one reference from its opening to its close callback; in between, the object is there.
protocol HandleOwner: AnyObject {}

extension HandleOwner {
    /// For a callback behind which the handle may be gone, and its reference with it.
    static func of(_ owner: UnsafeMutableRawPointer?) -> Self {
        guard let owner else { preconditionFailure("a handle without an owner") }
        return Unmanaged<Self>.fromOpaque(owner).takeUnretainedValue()
    }

    /// For all other callbacks, without a reference more: bytes come by them.
    static func with<Result>(_ owner: UnsafeMutableRawPointer?, _ body: (Self) -> Result) -> Result {
        guard let owner else { preconditionFailure("a handle without an owner") }
        return Unmanaged<Self>.fromOpaque(owner)._withUnsafeGuaranteedRef(body)
    }

    /// The reference that a handle holds from now on, as its owner pointer.
    func retainForHandle() -> UnsafeMutableRawPointer {
        Unmanaged.passRetained(self).toOpaque()
    }

    /// Gives up the handle's reference; the one counterpart of ``retainForHandle()``.
    func releaseByHandle() {
        Unmanaged.passUnretained(self).release()
    }
}
