internal import CUV
internal import Synchronization

/// What a listener reports.
package protocol TCPListenerDelegate: AnyObject {
    /// A client has connected. Whoever is told owns the descriptor.
    func listener(
        _ listener: TCPListener,
        didAccept descriptor: consuming AcceptedDescriptor,
        from peer: SocketAddress
    )
    /// Descriptors or memory have run out, and the listener has paused until ``TCPListener/resume()``.
    func listener(_ listener: TCPListener, didPauseFor error: UVError)
    func listenerDidClose(_ listener: TCPListener)
}

/// The socket of a connection that no stream has taken yet: becomes a ``TCPStream``, or is closed when it is
/// dropped.
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

    /// The user of the process at the other end of a unix socket; the one that nobody has (65534) where the kernel
    /// doesn't say.
    package var user: UInt32 {
        var user: UInt32 = 0
        return cuv_peer_user(number, &user) == 0 ? user : 65534
    }

    deinit {
        cuv_descriptor_close(number)
    }
}

/// An ``AcceptedDescriptor`` on its way to the thread of another loop; closed where nobody takes it.
package final class HandedDescriptor: Sendable {
    private let number: Atomic<Int32>
    /// The codec's object, retained; 0: there is none. As a number, since the codec itself is of one loop at a time.
    private let codec: Atomic<UInt>

    /// - Parameter codec: nobody else may use it from now on.
    package init(_ descriptor: consuming AcceptedDescriptor, _ codec: (any StreamCodec)? = nil) {
        number = Atomic(descriptor.take())
        let retained = codec.map { Unmanaged<AnyObject>.passRetained($0).toOpaque() }
        self.codec = Atomic(UInt(bitPattern: retained))
    }

    /// Any thread.
    ///
    /// - Returns: the descriptor to the first who asks.
    package func take() -> AcceptedDescriptor? {
        let number = number.exchange(Self.taken, ordering: .relaxed)
        return number == Self.taken ? nil : AcceptedDescriptor(number: number)
    }

    /// The codec of the connection, to the first who asks.
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

/// Accepts connections on a loop, of TCP or of a unix socket. A client of the latter has the address 0.0.0.0:0.
///
/// - Isolation: the loop's thread.
/// - Ownership: kept alive by its handle until ``TCPListenerDelegate/listenerDidClose(_:)``. The delegate is not
///   retained and must be there until then.
package final class TCPListener: HandleOwner {
    private var raw: OpaquePointer?
    /// Whether its clients are processes of this machine, see ``AcceptedDescriptor/user``.
    package let isUnix: Bool
    private let isKept: Bool
    package unowned var delegate: any TCPListenerDelegate

    /// Takes over the socket, also when this throws.
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

    /// Accepts again after a pause; does no harm where there was none.
    package func resume() {
        guard let raw else { return }
        cuv_listener_resume(raw)
    }

    /// Who else has the socket when it is closed.
    package enum End: Sendable {
        /// Nobody, but for whoever keeps an inherited one.
        case last
        /// Another process may have it: nothing is done to the socket that would hinder that one.
        case shared
        /// Another process accepts in place of this one.
        case handedOver
    }

    /// Accepts what has connected already, however much it is, then closes: no connection that the kernel has
    /// completed is reset. The delegate is told of connections until ``TCPListenerDelegate/listenerDidClose(_:)``.
    ///
    package func close(_ end: End = .last) {
        guard let raw else { return }
        // First, since a delegate may close again when it is told of such a connection.
        self.raw = nil
        switch end {
        case .handedOver: cuv_listener_close(raw, CUV_CLOSE_HANDED)
        case .shared: cuv_listener_close(raw, CUV_CLOSE_KEPT)
        case .last: cuv_listener_close(raw, isKept ? CUV_CLOSE_KEPT : CUV_CLOSE_LAST)
        }
    }

    /// Its socket once more, for another process. Throws what fcntl(2) fails with, and `EBADF` once it closes.
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
