internal import CUV
internal import Synchronization

/// The events of a listener.
package protocol TCPListenerDelegate: AnyObject {
    /// A client has connected. The delegate owns the descriptor.
    func listener(
        _ listener: TCPListener,
        didAccept descriptor: consuming AcceptedDescriptor,
        from peer: SocketAddress
    )
    /// Descriptors or memory have run out. The listener has paused until ``TCPListener/resume()``.
    func listener(_ listener: TCPListener, didPauseFor error: UVError)
    func listenerDidClose(_ listener: TCPListener)
}

/// The socket of a connection that isn't a stream yet: it becomes a ``TCPStream``, or is closed when it is dropped.
package struct AcceptedDescriptor: ~Copyable {
    private let number: Int32

    init(number: Int32) {
        self.number = number
    }

    consuming func take() -> Int32 {
        let number = number
        discard self
        return number
    }

    /// The user of the process at the other end of a unix socket; 65534 (nobody) if the kernel doesn't say.
    package var user: UInt32 {
        var user: UInt32 = 0
        return cuv_peer_user(number, &user) == 0 ? user : 65534
    }

    deinit {
        cuv_descriptor_close(number)
    }
}

/// An ``AcceptedDescriptor`` on its way to another loop's thread. It is closed if it isn't taken.
package final class HandedDescriptor: Sendable {
    private let number: Atomic<Int32>
    /// The codec's object, retained; 0 if there is none. Stored as a number, because a codec belongs to one loop at a
    /// time and isn't `Sendable`.
    private let codec: Atomic<UInt>

    /// - Parameter codec: must not be used by the caller from now on.
    package init(_ descriptor: consuming AcceptedDescriptor, _ codec: (any StreamCodec)? = nil) {
        number = Atomic(descriptor.take())
        let retained = codec.map { Unmanaged<AnyObject>.passRetained($0).toOpaque() }
        self.codec = Atomic(UInt(bitPattern: retained))
    }

    /// Any thread.
    ///
    /// - Returns: the descriptor on the first call, then `nil`.
    package func take() -> AcceptedDescriptor? {
        let number = number.exchange(Self.taken, ordering: .relaxed)
        return number == Self.taken ? nil : AcceptedDescriptor(number: number)
    }

    /// The codec of the connection on the first call, then `nil`.
    package func takeCodec() -> (any StreamCodec)? {
        let object = UnsafeRawPointer(bitPattern: codec.exchange(0, ordering: .acquiringAndReleasing))
        return object.flatMap { Unmanaged<AnyObject>.fromOpaque($0).takeRetainedValue() as? any StreamCodec }
    }

    private static let taken: Int32 = -1

    deinit {
        _ = take()
        _ = takeCodec()
    }
}

/// Accepts connections of TCP or of a unix socket on a loop. Clients of a unix socket have the address 0.0.0.0:0.
///
/// - Isolation: the loop's thread.
/// - Ownership: kept alive by its handle until ``TCPListenerDelegate/listenerDidClose(_:)``. The delegate isn't
///   retained and must exist until then.
package final class TCPListener: HandleOwner {
    private var raw: OpaquePointer?
    /// Whether its clients are processes on this machine, see ``AcceptedDescriptor/user``.
    package let isUnix: Bool
    private let isKept: Bool
    package unowned var delegate: any TCPListenerDelegate

    /// Takes over the socket, even if this throws.
    package init(_ socket: ListeningSocket, on loop: EventLoop, delegate: any TCPListenerDelegate)
        throws(UVError)
    {
        self.delegate = delegate
        (isUnix, isKept) = (socket.isUnix, socket.isKept)
        let owner = retainForHandle()
        do {
            raw = try socket.start(on: loop, owner: owner)
        } catch {
            releaseByHandle()
            throw error
        }
    }

    /// Accepts again after a pause; otherwise it does nothing.
    package func resume() {
        guard let raw else { return }
        cuv_listener_resume(raw)
    }

    /// Which other processes or workers have the socket when it is closed.
    package enum End: Sendable {
        /// Nobody, except a process that keeps an inherited socket.
        case last
        /// Another process may have it, so the socket must stay usable for that process.
        case shared
        /// Another process accepts instead of this one.
        case handedOver
    }

    /// Accepts all connections that are complete, then closes: none of them is reset. The delegate receives connections
    /// until ``TCPListenerDelegate/listenerDidClose(_:)``.
    ///
    package func close(_ end: End = .last) {
        guard let raw else { return }
        // Done first, since the delegate may call close again when it receives such a connection.
        self.raw = nil
        switch end {
        case .handedOver: cuv_listener_close(raw, CUV_CLOSE_HANDED)
        case .shared: cuv_listener_close(raw, CUV_CLOSE_KEPT)
        case .last: cuv_listener_close(raw, isKept ? CUV_CLOSE_KEPT : CUV_CLOSE_LAST)
        }
    }

    /// Another descriptor of its socket, for another process. Throws the errors of fcntl(2), and `EBADF` once it is
    /// closing.
    package func duplicated() throws(UVError) -> ListeningSocket {
        guard let raw else { throw .badDescriptor }
        return try ListeningSocket(duplicateOf: raw, isKept: isKept)
    }

    func accepted(_ descriptor: Int32, _ peer: UnsafePointer<cuv_address>?) {
        let accepted = AcceptedDescriptor(number: descriptor)
        guard let peer else { return }
        delegate.listener(self, didAccept: accepted, from: SocketAddress(peer.pointee))
    }

    func acceptFailed(_ error: Int32) {
        delegate.listener(self, didPauseFor: UVError(code: error))
    }

    func closed() {
        delegate.listenerDidClose(self)
        releaseByHandle()
    }

    deinit {
        assert(raw == nil, "a listener must be closed")
    }
}
