internal import CUV

/// The events of a UDP socket.
///
/// While the socket is closing, only ``socketDidClose(_:)`` is reported.
package protocol UDPSocketDelegate: AnyObject {
    /// The buffer for the next datagrams: 64 KiB for each, up to 20 datagrams (recvmmsg(2)) or trains of them. The
    /// memory is in use until the loop asks again, for any socket. If empty, no datagram is received.
    func bufferForReceiving(_ socket: UDPSocket) -> UnsafeMutableRawBufferPointer

    /// A datagram has come; it may be empty. It stays valid as long as the buffer.
    func socket(
        _ socket: UDPSocket,
        didReceive datagram: UnsafeMutableRawBufferPointer,
        from peer: SocketAddress
    )

    /// The result of ``UDPSocket/send(_:carrying:to:)``, reported once for each call, possibly before it returns.
    /// Nothing may be sent or closed here.
    func socket(_ socket: UDPSocket, didSend payload: Int, failure: UVError?)

    func socketDidClose(_ socket: UDPSocket)
}

/// One UDP socket on a loop, not connected to any peer.
///
/// Datagrams that arrive together, and the answers to them, take one system call per batch; datagrams of one length
/// pass through the system as one message (`UDP_GRO`, `UDP_SEGMENT`). No datagram waits longer than that: it is sent at
/// once or not at all. ICMP errors are ignored.
///
/// - Isolation: the loop's thread.
/// - Ownership: kept alive by its handle until ``UDPSocketDelegate/socketDidClose(_:)``. The delegate isn't retained
///   and must exist until then.
package final class UDPSocket: HandleOwner {
    private unowned let delegate: any UDPSocketDelegate
    private var raw: OpaquePointer?
    private var isClosing = false
    /// The address that it is bound to (getsockname(2)).
    package private(set) var localAddress = SocketAddress(host: .ipv4(0), port: 0)

    /// Binds to the first free port of the list, and receives.
    ///
    /// Throws the errors of socket(2) and bind(2); `EADDRINUSE` if no port is free.
    ///
    /// - Parameter host: its port is ignored.
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

    /// Binds to a port that the system chooses, and receives. Datagrams are sent by the route of `egress`.
    ///
    /// Throws the errors of socket(2), setsockopt(2) and bind(2).
    package convenience init(
        on loop: EventLoop,
        isIPv6: Bool,
        leavingBy egress: EgressOptions,
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

    /// - Returns: false if the port is taken.
    private static func bind(_ raw: OpaquePointer, _ address: SocketAddress) throws(UVError) -> Bool {
        var address = address.raw
        let result = cuv_udp_bind(raw, &address)
        if result == UVError.addressInUse.code { return false }
        try UVError.check(result)
        return true
    }

    /// Sends one datagram (sendmmsg(2)). If it is in the receive buffer, it may be sent at the end of the batch.
    ///
    /// ``UDPSocketDelegate/socket(_:didSend:failure:)`` reports the result: `EAGAIN` if the socket is full, `EMSGSIZE`
    /// if a datagram can't be that large, and errors of sendmsg(2) about the way to the target.
    ///
    /// - Parameters:
    ///   - header: put in front of it; at most 262 bytes, which are copied.
    ///   - payload: passed to the delegate.
    package func send(
        _ datagram: UnsafeRawBufferPointer,
        behind header: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        carrying payload: Int,
        to target: SocketAddress
    ) {
        precondition(header.count <= 262, "a header that is too long")
        var address = target.raw
        cuv_udp_send(handle, cuv_buffer(header), cuv_buffer(datagram), payload, &address)
    }

    /// Closes; further calls do nothing.
    package func close() {
        guard !isClosing else { return }
        // Datagrams that wait to be sent still are, and their results are reported.
        cuv_udp_close(handle)
        isClosing = true
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

    func received(_ datagram: cuv_buffer, _ peer: UnsafePointer<cuv_address>?) {
        guard !isClosing, let peer else { return }
        let bytes = UnsafeMutableRawBufferPointer(start: datagram.base, count: datagram.length)
        delegate.socket(self, didReceive: bytes, from: SocketAddress(peer.pointee))
    }

    func sent(_ payload: Int, _ status: CInt) {
        delegate.socket(self, didSend: payload, failure: status == 0 ? nil : UVError(code: status))
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

extension cuv_buffer {
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        self.init(base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), length: bytes.count)
    }
}
