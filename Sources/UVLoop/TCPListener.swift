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

    deinit {
        cuv_descriptor_close(number)
    }
}

/// An ``AcceptedDescriptor`` on its way to the thread of another loop; closed where nobody takes it.
package final class HandedDescriptor: Sendable {
    private let number: Atomic<Int32>

    package init(_ descriptor: consuming AcceptedDescriptor) {
        number = Atomic(descriptor.take())
    }

    /// Any thread.
    ///
    /// - Returns: the descriptor to the first who asks.
    package func take() -> AcceptedDescriptor? {
        let number = number.exchange(Self.taken, ordering: .relaxed)
        return number == Self.taken ? nil : AcceptedDescriptor(number: number)
    }

    private static let taken: Int32 = -1

    deinit {
        _ = take()
    }
}

/// A socket that listens but does not accept yet: opened by any thread, handed to a loop.
package struct ListeningSocket: Sendable {
    private let descriptor: Int32
    /// The address with the port that the system chose, if it was left to it.
    package let boundAddress: SocketAddress

    package struct Options: OptionSet, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Several sockets may listen on the address; the kernel spreads connections over them (SO_REUSEPORT).
        package static let shared = Options(rawValue: UInt32(CUV_LISTEN_SHARED))
        /// An IPv6 wildcard address leaves IPv4 alone (IPV6_V6ONLY).
        package static let ipv6Only = Options(rawValue: UInt32(CUV_LISTEN_IPV6_ONLY))
    }

    /// Binds and listens. Connections inherit TCP_NODELAY and keepalive. Throws what socket(2), bind(2) or
    /// listen(2) fails with.
    package init(_ address: SocketAddress, _ options: Options) throws(UVError) {
        var raw = address.raw
        var bound = cuv_address()
        var descriptor: Int32 = -1
        try UVError.check(cuv_listen(&raw, options.rawValue, &descriptor, &bound))
        self.descriptor = descriptor
        boundAddress = SocketAddress(bound)
    }

    /// Throws `EADDRINUSE` where another socket listens on the address, which SO_REUSEPORT would hide.
    package static func probe(_ address: SocketAddress, _ options: Options) throws(UVError) {
        var raw = address.raw
        try UVError.check(cuv_listen_probe(&raw, options.rawValue))
    }

    /// Takes over a descriptor that listens.
    fileprivate init(descriptor: Int32) {
        self.descriptor = descriptor
        boundAddress = SocketAddress(host: .ipv4(0), port: 0)
    }

    /// Closes a socket that no ``TCPListener`` has taken.
    package func close() {
        cuv_descriptor_close(descriptor)
    }

    func start(on loop: EventLoop, owner: UnsafeMutableRawPointer) throws(UVError) -> OpaquePointer {
        var raw: OpaquePointer?
        try UVError.check(cuv_listener_start(loop.raw, descriptor, owner, &raw))
        guard let raw else { throw .outOfMemory }
        return raw
    }
}

/// The file of a unix socket that listens.
package struct UnixSocketFile: Sendable {
    package let path: String
    private let identity: cuv_file_identity

    /// Listens, in place of a file that a dead process has left behind.
    ///
    /// Throws `EADDRINUSE` if a process listens there, `EEXIST` if something else than a socket is there, and what
    /// socket(2), bind(2) or listen(2) fails with.
    ///
    /// - Parameter mode: of the file, as 0o600: says who may connect.
    package static func listen(
        at path: String,
        mode: UInt32
    ) throws(UVError) -> (file: UnixSocketFile, socket: ListeningSocket) {
        var descriptor: Int32 = -1
        var identity = cuv_file_identity()
        try UVError.check(cuv_listen_unix(path, mode, &descriptor, &identity))
        return (UnixSocketFile(path: path, identity: identity), ListeningSocket(descriptor: descriptor))
    }

    /// Removes the file, unless another socket has taken its place.
    package func remove() {
        cuv_unlink_unix(path, identity)
    }
}

/// Accepts connections on a loop, of TCP or of a unix socket. A client of the latter has the address 0.0.0.0:0.
///
/// - Isolation: the loop's thread.
/// - Ownership: kept alive by its handle until ``TCPListenerDelegate/listenerDidClose(_:)``. The delegate is not
///   retained and must be there until then.
package final class TCPListener: HandleOwner {
    private var raw: OpaquePointer?
    package unowned var delegate: any TCPListenerDelegate

    /// Takes over the socket, also when this throws.
    package init(_ socket: ListeningSocket, on loop: EventLoop, delegate: any TCPListenerDelegate)
        throws(UVError)
    {
        self.delegate = delegate
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

    /// Accepts what has connected already, however much it is, then closes: no connection that the kernel has
    /// completed is reset. The delegate is told of connections until ``TCPListenerDelegate/listenerDidClose(_:)``.
    package func close() {
        guard let raw else { return }
        // First, since a delegate may close again when it is told of such a connection.
        self.raw = nil
        cuv_listener_close(raw)
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
