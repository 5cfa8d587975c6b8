internal import CUV

/// What a UDP socket reports.
///
/// Nothing but ``socketDidClose(_:)`` is reported once the socket is closing.
package protocol UDPSocketDelegate: AnyObject {
    /// Where the next datagrams shall go: one each 64 KiB, up to 20 (recvmmsg(2)), or as many trains of them. The memory
    /// is in use until the loop asks again, for whichever socket. Empty: none shall come.
    func bufferForReceiving(_ socket: UDPSocket) -> UnsafeMutableRawBufferPointer

    /// A datagram, maybe of no bytes, has come. It stays where it is as long as the buffer does.
    func socket(
        _ socket: UDPSocket,
        didReceive datagram: UnsafeMutableRawBufferPointer,
        from peer: SocketAddress
    )

    /// What ``UDPSocket/send(_:carrying:to:)`` has come to, told once for each; maybe before that returns. Nothing may
    /// be sent or closed from here.
    func socket(_ socket: UDPSocket, didSend payload: Int, failure: UVError?)

    func socketDidClose(_ socket: UDPSocket)
}

/// One UDP socket on a loop, not connected to any peer.
///
/// Datagrams that come together, and the answers to them, take a system call each batch; those of one length pass the
/// system as one (`UDP_GRO`, `UDP_SEGMENT`). Nothing waits longer than that: a datagram is sent at once or not at all.
/// ICMP errors are nobody's business.
///
/// - Isolation: the loop's thread.
/// - Ownership: kept alive by its handle until ``UDPSocketDelegate/socketDidClose(_:)``. The delegate is not
///   retained and must be there until then.
package final class UDPSocket: HandleOwner {
    private unowned let delegate: any UDPSocketDelegate
    private var raw: OpaquePointer?
    private var isClosing = false
    /// What it is bound to (getsockname(2)).
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

    /// - Returns: false where the port is taken.
    private static func bind(_ raw: OpaquePointer, _ address: SocketAddress) throws(UVError) -> Bool {
        var address = address.raw
        let result = cuv_udp_bind(raw, &address)
        if result == UVError.addressInUse.code { return false }
        try UVError.check(result)
        return true
    }

    /// Sends one datagram (sendmmsg(2)), from a buffer for receiving maybe at the end of its batch.
    ///
    /// ``UDPSocketDelegate/socket(_:didSend:failure:)`` tells what becomes of it: `EAGAIN` where the socket is full,
    /// `EMSGSIZE` where no datagram can be that large, and what sendmsg(2) says of the way to the target.
    ///
    /// - Parameters:
    ///   - header: goes in front of it; at most 262 bytes, which are copied.
    ///   - payload: what the delegate is told.
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

    /// Closes, at most once.
    package func close() {
        guard !isClosing else { return }
        // What waits to be sent still is, and reported.
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
