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

    /// - Parameter readBudget: bytes that one stream may deliver before the others get their turn.
    package init(readBudget: Int) throws(UVError) {
        var callbacks = Self.callbacks
        var created: OpaquePointer?
        try UVError.check(cuv_loop_create(&callbacks, readBudget, &created))
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

    /// Every callback of libuv enters Swift here, and is passed to the object that its handle belongs to.
    private static var callbacks: cuv_callbacks {
        cuv_callbacks(
            woken: { EventLoop.of($0)?.delegate?.loopWoken() },
            timer_fired: { EventLoop.of($0)?.delegate?.loopTimerFired() },
            accepted: { TCPListener.of($0)?.accepted($1, $2) },
            accept_failed: { TCPListener.of($0)?.acceptFailed($1) },
            listener_closed: { TCPListener.of($0)?.closed() },
            connected: { TCPStream.of($0)?.connected($1) },
            buffer_wanted: { TCPStream.of($0)?.bufferWanted() ?? cuv_buffer(base: nil, length: 0) },
            received: { TCPStream.of($0)?.received($1) },
            written: { TCPStream.of($0)?.written($1) },
            stream_closed: { TCPStream.of($0)?.closed() },
            datagram_buffer_wanted: { UDPSocket.of($0)?.bufferWanted() ?? cuv_buffer(base: nil, length: 0) },
            datagram_received: { UDPSocket.of($0)?.received($1, $2) },
            datagram_sent: { UDPSocket.of($0)?.sent($1, $2) },
            datagram_socket_closed: { UDPSocket.of($0)?.closed() },
            resolved: { NameLookup.of($0)?.resolved($1, $2, $3) }
        )
    }
}

extension EventLoop: HandleOwner {}

/// A class whose objects come back from libuv as the owner of a handle.
///
/// The handle holds one reference from its opening to its close callback; in between, the object is there.
protocol HandleOwner: AnyObject {}

extension HandleOwner {
    static func of(_ owner: UnsafeMutableRawPointer?) -> Self? {
        guard let owner else { return nil }
        return Unmanaged<Self>.fromOpaque(owner).takeUnretainedValue()
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
