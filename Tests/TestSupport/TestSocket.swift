import Glibc
import Synchronization

/// Whether long tests are skipped, as under the sanitizers.
public let isQuick = getenv("SOCKS5D_TEST_QUICK") != nil

/// How long anything in a test may take before it counts as failed, in seconds. Sanitized code is about ten times
/// slower.
public let deadlineSeconds = isQuick ? 60 : 20

/// The observation of a test that differs from the expected one.
public struct TestFailure: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }

    static func lastError(_ call: String) -> TestFailure {
        TestFailure("\(call): \(String(cString: strerror(errno)))")
    }
}

/// A second close would hit a descriptor that another test has opened meanwhile.
func closeOnce(_ descriptor: Int32) {
    guard close(descriptor) == 0 else {
        fatalError("close(\(descriptor)): \(String(cString: strerror(errno)))")
    }
}

/// A blocking TCP socket; every wait has a deadline. Closed by the first ``close()`` or ``reset()``.
public final class TestSocket: Sendable {
    public let descriptor: Int32
    private let isClosed = Atomic<Bool>(false)

    public init(descriptor: Int32) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: deadlineSeconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    }

    /// - Parameter receiveBuffer: a small buffer also means small segments. With large ones, the sender's kernel would
    ///   hold back some megabytes.
    public convenience init(
        connectingTo port: Int,
        host: String = "127.0.0.1",
        from source: String? = nil,
        receiveBuffer: Int32? = nil
    ) throws {
        let address = try NumericAddress(host, port)
        let descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestFailure.lastError("socket") }
        self.init(descriptor: descriptor)
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
            var segment: Int32 = 1024
            setsockopt(
                descriptor,
                Int32(IPPROTO_TCP),
                TCP_MAXSEG,
                &segment,
                socklen_t(MemoryLayout<Int32>.size)
            )
        }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        if let source {
            let own = try NumericAddress(source, 0)
            guard own.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else {
                throw TestFailure.lastError("bind to \(source)")
            }
        }
        guard address.withSockaddr({ connect(descriptor, $0, $1) }) == 0 else {
            let failure = TestFailure.lastError("connect to \(host):\(port)")
            close()
            throw failure
        }
    }

    public func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.send(
                    descriptor,
                    buffer.baseAddress.map { $0 + sent },
                    bytes.count - sent,
                    Int32(MSG_NOSIGNAL)
                )
            }
            guard count > 0 else { throw TestFailure.lastError("send") }
            sent += count
        }
    }

    /// Sends the bytes that the kernel accepts at once.
    ///
    /// - Returns: the number of bytes, 0 if it accepts none now.
    public func sendSome(_ bytes: [UInt8]) throws -> Int {
        let count = Glibc.send(
            descriptor,
            bytes,
            bytes.count,
            Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        )
        guard count >= 0 || errno == EAGAIN else { throw TestFailure.lastError("send") }
        return max(0, count)
    }

    /// The available bytes, up to `limit`; empty at the end.
    public func receiveSome(_ limit: Int = 65536) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = recv(descriptor, &bytes, limit, 0)
        guard count >= 0 else { throw TestFailure.lastError("recv") }
        bytes.removeLast(limit - count)
        return bytes
    }

    public func receive(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let some = try receiveSome(count - bytes.count)
            guard !some.isEmpty else {
                throw TestFailure("the end after \(bytes.count) of \(count) bytes: \(bytes)")
            }
            bytes += some
        }
        return bytes
    }

    /// All bytes until the peer ends its direction.
    public func receiveToEnd() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let some = try receiveSome(1 << 20)
            if some.isEmpty { return bytes }
            bytes += some
        }
    }

    /// Waits until the peer closes or resets, and ignores the bytes before that.
    public func waitForClose() throws {
        var byte = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(descriptor, &byte, byte.count, 0)
            if count == 0 || (count < 0 && errno == ECONNRESET) { return }
            guard count > 0 else { throw TestFailure.lastError("the peer doesn't close: recv") }
        }
    }

    /// Waits until the peer resets, and ignores the bytes before that.
    public func expectReset() throws {
        var bytes = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = recv(descriptor, &bytes, bytes.count, 0)
            if count < 0 && errno == ECONNRESET { return }
            guard count > 0 else {
                throw count == 0 ? TestFailure("an end instead of a reset") : .lastError("no reset: recv")
            }
        }
    }

    /// Whether there is something to read, including the end.
    public var hasBytes: Bool {
        var state = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&state, 1, 0) > 0
    }

    /// Whether the peer has reset the connection, even if there are unread bytes.
    public var isReset: Bool {
        var state = pollfd(fd: descriptor, events: 0, revents: 0)
        return poll(&state, 1, 0) > 0 && Int32(state.revents) & (POLLERR | POLLHUP) != 0
    }

    public func endSending() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    public func close() {
        if !isClosed.exchange(true, ordering: .relaxed) { closeOnce(descriptor) }
    }

    public func reset() {
        var abort = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &abort, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    public var localPort: Int { NumericAddress.port(of: descriptor) }

    /// The numeric address of the peer, and of this end.
    public var peerHost: String { host(by: getpeername) }
    public var localHost: String { host(by: getsockname) }

    private func host(
        by ask: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) -> String {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        withUnsafeMutableBytes(of: &storage) { bytes in
            guard let base = bytes.baseAddress else { return }
            let address = base.assumingMemoryBound(to: sockaddr.self)
            _ = ask(descriptor, address, &size)
            getnameinfo(address, size, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
        }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The small initial buffer is for a peer that stalls; it would make everything after that slow.
    public func enlargeReceiveBuffer() {
        var size: Int32 = 1 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Whether this many bytes, or the end, have arrived.
    public func isReadable(atLeast count: Int) -> Bool {
        var bytes = [UInt8](repeating: 0, count: count)
        let there = recv(descriptor, &bytes, count, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return there == count || there == 0
    }

    public var peerPort: Int {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            getpeername(descriptor, base.assumingMemoryBound(to: sockaddr.self), &size)
            return Int(UInt16(bigEndian: bytes.load(fromByteOffset: 2, as: UInt16.self)))
        }
    }
}

/// A numeric address for the calls that want a `sockaddr`.
public struct NumericAddress {
    public let family: Int32
    private let bytes: [UInt8]

    public init(_ host: String, _ port: Int) throws {
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let found else {
            throw TestFailure("\(host) isn't an address")
        }
        defer { freeaddrinfo(found) }
        family = found.pointee.ai_family
        bytes = Array(
            UnsafeRawBufferPointer(start: found.pointee.ai_addr, count: Int(found.pointee.ai_addrlen))
        )
    }

    public func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        bytes.withUnsafeBytes { buffer in
            guard let address = buffer.bindMemory(to: sockaddr.self).baseAddress else {
                preconditionFailure("an address has bytes")
            }
            return body(address, socklen_t(bytes.count))
        }
    }

    static func port(of descriptor: Int32) -> Int {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            getsockname(descriptor, base.assumingMemoryBound(to: sockaddr.self), &size)
            return Int(UInt16(bigEndian: bytes.load(fromByteOffset: 2, as: UInt16.self)))
        }
    }
}
