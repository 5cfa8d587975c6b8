internal import CUV

/// What a UDP socket reports.
///
/// Nothing but ``socketDidClose(_:)`` is reported once the socket is closing.
package protocol UDPSocketDelegate: AnyObject {
    /// Where the next datagram shall go. Must stay valid until ``socket(_:didReceive:from:)``, which follows at
    /// once. What doesn't fit is dropped.
    func bufferForReceiving(_ socket: UDPSocket) -> UnsafeMutableRawBufferPointer

    /// A datagram of so many bytes, maybe none, is in the buffer.
    func socket(_ socket: UDPSocket, didReceive count: Int, from peer: SocketAddress)

    func socketDidClose(_ socket: UDPSocket)
}

/// One UDP socket on a loop (`uv_udp_t`), not connected to any peer.
///
/// Nothing is queued here: a datagram is sent at once or not at all. ICMP errors are nobody's business.
///
/// - Isolation: the loop's thread.
/// - Ownership: kept alive by its handle until ``UDPSocketDelegate/socketDidClose(_:)``. The delegate is not
///   retained and must be there until then.
package final class UDPSocket: HandleOwner {
    private unowned let delegate: any UDPSocketDelegate
    private var raw: OpaquePointer?
    private var isClosing = false
    /// What it is bound to (`uv_udp_getsockname`).
    package private(set) var localAddress = SocketAddress(host: .ipv4(0), port: 0)

    /// Binds to the first of the ports that is free, and receives.
    ///
    /// Throws what socket(2) or bind(2) fails with, `EADDRINUSE` where no port is free.
    ///
    /// - Parameter host: its port doesn't count.
    package convenience init(
        on loop: EventLoop,
        boundTo host: SocketAddress,
        ports: some Sequence<UInt16>,
        delegate: any UDPSocketDelegate
    ) throws(UVError) {
        try self.init(on: loop, isIPv6: host.isIPv6, delegate) { raw throws(UVError) in
            for port in ports {
                if try Self.bind(raw, SocketAddress(host: host.host, port: port)) { return }
            }
            throw .addressInUse
        }
    }

    /// Binds to a port that the system chooses, and receives; what is sent leaves by `egress`.
    ///
    /// Throws what socket(2), setsockopt(2) or bind(2) fails with.
    package convenience init(
        on loop: EventLoop,
        isIPv6: Bool,
        leavingBy egress: Egress,
        delegate: any UDPSocketDelegate
    ) throws(UVError) {
        try self.init(on: loop, isIPv6: isIPv6, delegate) { raw throws(UVError) in
            try UVError.check(egress.withRaw(isIPv6: isIPv6) { cuv_udp_leave_by(raw, $0) })
            let any: SocketAddress.Host = isIPv6 ? .ipv6(high: 0, low: 0, scope: 0) : .ipv4(0)
            let host = (isIPv6 ? egress.ipv6Source : egress.ipv4Source)?.host ?? any
            guard try Self.bind(raw, SocketAddress(host: host, port: 0)) else { throw .addressInUse }
        }
    }

    private init(
        on loop: EventLoop,
        isIPv6: Bool,
        _ delegate: any UDPSocketDelegate,
        bind: (OpaquePointer) throws(UVError) -> Void
    ) throws(UVError) {
        self.delegate = delegate
        var created: OpaquePointer?
        let result = cuv_udp_create(loop.raw, isIPv6, retainForHandle(), &created)
        guard let created else {
            releaseByHandle()
            throw UVError(code: result)
        }
        do throws(UVError) {
            try bind(created)
            var address = cuv_address()
            try UVError.check(cuv_udp_local_address(created, &address))
            localAddress = SocketAddress(address)
            try UVError.check(cuv_udp_receive_start(created))
        } catch {
            cuv_udp_discard(created)
            releaseByHandle()
            throw error
        }
        raw = created
    }

    /// - Returns: false where the port is taken.
    private static func bind(_ raw: OpaquePointer, _ address: SocketAddress) throws(UVError) -> Bool {
        var address = address.raw
        let result = cuv_udp_bind(raw, &address)
        if result == UVError.addressInUse.code { return false }
        try UVError.check(result)
        return true
    }

    /// Sends one datagram (`uv_udp_try_send`).
    ///
    /// Throws `EAGAIN` where the socket is full, `EMSGSIZE` where no datagram can be that large, and what
    /// sendmsg(2) says of the way to the target.
    package func send(_ datagram: UnsafeRawBufferPointer, to target: SocketAddress) throws(UVError) {
        var address = target.raw
        let buffer = cuv_buffer(
            base: UnsafeMutableRawPointer(mutating: datagram.baseAddress),
            length: datagram.count
        )
        try UVError.check(cuv_udp_try_send(handle, buffer, &address))
    }

    /// Closes, at most once.
    package func close() {
        guard !isClosing else { return }
        isClosing = true
        cuv_udp_close(handle)
    }

    private var handle: OpaquePointer {
        guard let raw else { preconditionFailure("a closed socket is used") }
        return raw
    }

    func bufferWanted() -> cuv_buffer {
        guard !isClosing else { return cuv_buffer(base: nil, length: 0) }
        let buffer = delegate.bufferForReceiving(self)
        return cuv_buffer(base: buffer.baseAddress, length: buffer.count)
    }

    func received(_ count: Int, _ peer: UnsafePointer<cuv_address>?) {
        guard !isClosing, let peer else { return }
        delegate.socket(self, didReceive: count, from: SocketAddress(peer.pointee))
    }

    func closed() {
        raw = nil
        delegate.socketDidClose(self)
        releaseByHandle()
    }

    deinit {
        assert(raw == nil, "a socket must be closed")
    }
}
