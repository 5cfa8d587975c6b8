internal import CUV

/// A socket that listens but doesn't accept yet: opened on any thread, then handed to a loop.
package struct ListeningSocket: Sendable {
    let descriptor: Int32
    /// The address, with the port that the system chose if it was 0. 0.0.0.0:0 for a unix socket.
    package let boundAddress: SocketAddress
    package let isUnix: Bool
    /// Whether another process has the socket too, and will accept the connections that this process leaves.
    package let isKept: Bool

    package struct Options: OptionSet, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Several sockets may listen on the address; the kernel spreads connections over them (SO_REUSEPORT).
        package static let shared = Options(rawValue: UInt32(CUV_LISTEN_SHARED))
        /// An IPv6 wildcard address doesn't take IPv4 (IPV6_V6ONLY).
        package static let ipv6Only = Options(rawValue: UInt32(CUV_LISTEN_IPV6_ONLY))
        /// The address may be one that no interface has (IP_FREEBIND).
        package static let bindsFreely = Options(rawValue: UInt32(CUV_LISTEN_FREELY))
    }

    /// Binds and listens. Connections inherit TCP_NODELAY and keepalive. Throws the errors of socket(2), bind(2) and
    /// listen(2).
    package init(_ address: SocketAddress, _ options: Options) throws(UVError) {
        var raw = address.raw
        var bound = cuv_address()
        var descriptor: Int32 = -1
        try UVError.check(cuv_listen(&raw, options.rawValue, &descriptor, &bound))
        self.descriptor = descriptor
        boundAddress = SocketAddress(bound)
        (isUnix, isKept) = (false, false)
    }

    /// Adopts a descriptor that already listens, even if another process has opened it. The socket owns it
    /// from now on; if this throws, the caller keeps it. Throws `EBADF`, `ENOTSOCK`, `EPROTOTYPE` if it isn't
    /// a stream, `EAFNOSUPPORT`, and `EINVAL` if it doesn't listen.
    package init(adopting descriptor: Int32, isKept: Bool) throws(UVError) {
        var facts = cuv_listening_facts()
        try UVError.check(cuv_listening_adopt(descriptor, &facts))
        self.descriptor = descriptor
        boundAddress = SocketAddress(facts.address)
        isUnix = facts.is_unix
        self.isKept = isKept
    }

    init(duplicateOf listener: OpaquePointer, isKept: Bool) throws(UVError) {
        let copy = try UVError.check(cuv_listener_duplicate(listener))
        do throws(UVError) {
            try self.init(adopting: copy, isKept: isKept)
        } catch {
            cuv_descriptor_close(copy)
            throw error
        }
    }

    private init(_ descriptor: Int32, like other: ListeningSocket) {
        self.descriptor = descriptor
        (boundAddress, isUnix, isKept) = (other.boundAddress, other.isUnix, other.isKept)
    }

    /// The path to which a unix socket is bound (getsockname(2)); `nil` if it has no file.
    package var unixPath: String? {
        guard isUnix else { return nil }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { path in
            guard let base = path.baseAddress, cuv_unix_path(descriptor, base, path.count) == 0 else {
                return nil
            }
            return String(cString: base)
        }
    }

    /// Another descriptor of the same socket, for another loop: both accept from one queue.
    package func duplicated() throws(UVError) -> ListeningSocket {
        ListeningSocket(try UVError.check(cuv_descriptor_duplicate(descriptor)), like: self)
    }

    /// Throws `EADDRINUSE` if another socket listens on the address. SO_REUSEPORT would hide that.
    package static func probe(_ address: SocketAddress, _ options: Options) throws(UVError) {
        var raw = address.raw
        try UVError.check(cuv_listen_probe(&raw, options.rawValue))
    }

    /// Takes over a unix socket.
    fileprivate init(unix descriptor: Int32) {
        self.descriptor = descriptor
        boundAddress = SocketAddress(host: .ipv4(0), port: 0)
        (isUnix, isKept) = (true, false)
    }

    /// Closes a descriptor that no socket has adopted.
    package static func close(_ descriptor: Int32) { cuv_descriptor_close(descriptor) }

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

/// The file of a listening unix socket.
package struct UnixSocketFile: Sendable {
    package let path: String
    private let identity: cuv_file_identity

    /// Listens, and replaces a file that a dead process has left behind.
    ///
    /// Throws `EADDRINUSE` if a process listens there, `EEXIST` if something other than a socket is there, `ETIMEDOUT`
    /// if a process keeps the folder locked, and the errors of socket(2), bind(2) and listen(2).
    ///
    /// - Parameter mode: the mode of the file, such as 0o600, which decides who may connect.
    package static func listen(
        at path: String,
        mode: UInt32
    ) throws(UVError) -> (file: UnixSocketFile, socket: ListeningSocket) {
        var descriptor: Int32 = -1
        var identity = cuv_file_identity()
        try UVError.check(cuv_listen_unix(path, mode, &descriptor, &identity))
        return (UnixSocketFile(path: path, identity: identity), ListeningSocket(unix: descriptor))
    }

    /// The file of a socket that another process has created and handed over; `nil` if there is none.
    package init?(handedOverAt path: String) {
        var identity = cuv_file_identity()
        guard cuv_file_identify(path, &identity) == 0 else { return nil }
        (self.path, self.identity) = (path, identity)
    }

    private init(path: String, identity: cuv_file_identity) {
        (self.path, self.identity) = (path, identity)
    }

    /// Removes the file, unless another socket has replaced it. Call it before the socket is closed.
    package func remove() {
        cuv_unlink_unix(path, identity)
    }
}

/// Sockets on their way to another process, which gets copies of them. They are closed when this object is dropped.
package final class HandedSockets: Sendable {
    package let sockets: [ListeningSocket]

    package init(_ sockets: [ListeningSocket]) {
        self.sockets = sockets
    }

    deinit {
        for socket in sockets { socket.close() }
    }
}
