import Glibc
import SOCKS5Protocol

/// A UDP socket of a test; every wait has a deadline. Closed by ``close()``.
public final class TestDatagramSocket: Sendable {
    public let descriptor: Int32
    /// The address that it is bound to.
    public let address: Destination

    public init(host: String = "127.0.0.1", port: Int = 0) throws {
        let address = try NumericAddress(host, port)
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        self.descriptor = descriptor
        guard address.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else {
            let failure = TestFailure.lastError("bind to \(host):\(port)")
            closeOnce(descriptor)
            throw failure
        }
        self.address = try Destination(numeric: host, port: NumericAddress.port(of: descriptor))
        var limit = timeval(tv_sec: deadlineSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    public var port: Int { Int(address.port) }

    public func send(_ bytes: [UInt8], to target: Destination) throws {
        let sent = try target.numeric.withSockaddr { sendto(descriptor, bytes, bytes.count, 0, $0, $1) }
        guard sent == bytes.count else { throw TestFailure.lastError("sendto \(target)") }
    }

    /// Sends datagrams of one length, only the last of which may be shorter, as one message that the system splits
    /// (UDP_SEGMENT): they arrive together.
    public func sendTrain(_ datagrams: [[UInt8]], to target: Destination) throws {
        let segment: Int32 = 103  // UDP_SEGMENT, which Glibc's module leaves out
        var each = Int32(datagrams.first?.count ?? 0)
        let size = socklen_t(MemoryLayout<Int32>.size)
        guard setsockopt(descriptor, Int32(IPPROTO_UDP), segment, &each, size) == 0 else {
            throw TestFailure.lastError("UDP_SEGMENT")
        }
        try send(Array(datagrams.joined()), to: target)
        each = 0
        setsockopt(descriptor, Int32(IPPROTO_UDP), segment, &each, size)
    }

    public func receive() throws -> (bytes: [UInt8], source: Destination) {
        var bytes = [UInt8](repeating: 0, count: 65536)
        var source = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let count = withUnsafeMutableBytes(of: &source) { raw in
            let address = raw.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return recvfrom(descriptor, &bytes, bytes.count, 0, address, &length)
        }
        guard count >= 0 else { throw TestFailure.lastError("recvfrom") }
        return (Array(bytes[..<count]), withUnsafeBytes(of: source) { Destination($0) })
    }

    /// Receives a datagram and returns it to its sender.
    public func echo() throws {
        let (bytes, source) = try receive()
        try send(bytes, to: source)
    }

    /// Whether a datagram waits to be received now.
    public var hasDatagram: Bool {
        var state = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&state, 1, 0) == 1
    }

    public func close() {
        closeOnce(descriptor)
    }
}

/// A client with a UDP association: the connection that holds it, and a socket to send from.
public struct TestAssociation: Sendable {
    public let connection: TestSocket
    public let socket: TestDatagramSocket
    /// The address that the server expects datagrams at.
    public let bound: Destination

    /// - Parameter expected: DST of the request.
    public init(
        through proxy: Int,
        host: String = "127.0.0.1",
        expecting expected: Destination = .unspecified
    ) throws {
        try self.init(TestSocket(connectingTo: proxy, host: host), TestDatagramSocket(host: host), expected)
    }

    public init(_ connection: TestSocket, _ socket: TestDatagramSocket, _ expected: Destination) throws {
        self.connection = connection
        self.socket = socket
        let response = try connection.request(.udpAssociate, expected)
        guard response.reply == .succeeded else { throw TestFailure("reply \(response.reply)") }
        bound = response.boundAddress
    }

    public func send(_ payload: [UInt8], to target: Destination, fragment: UInt8 = 0) throws {
        try socket.send(DatagramHeader(fragment: fragment, destination: target).encoded + payload, to: bound)
    }

    /// An answer, which must come from the server's address, and the source in its header.
    public func receive() throws -> (payload: [UInt8], source: Destination) {
        let (bytes, source) = try socket.receive()
        guard source == bound else { throw TestFailure("an answer from \(source), not from \(bound)") }
        guard let (header, length) = try DatagramHeader.decode(bytes), header.fragment == 0 else {
            throw TestFailure("no header: \(bytes.prefix(32))")
        }
        return (Array(bytes[length...]), header.destination)
    }

    /// Sends to an echoing target, and gets the same back from it. Earlier datagrams are ignored.
    ///
    /// - Parameter destination: the name of the target, if not its address.
    public func expectEcho(
        of payload: [UInt8],
        from target: TestDatagramSocket,
        as destination: Destination? = nil
    ) throws {
        try send(payload, to: destination ?? target.address)
        try target.echo()
        let (bytes, source) = try receive()
        guard bytes == payload, source == target.address else {
            throw TestFailure("\(bytes.prefix(32)) from \(source) instead of an echo")
        }
    }

    public func close() {
        connection.close()
        socket.close()
    }
}

extension Destination {
    /// A numeric address.
    public init(numeric host: String, port: Int) throws {
        self = try NumericAddress(host, port).withSockaddr { address, length in
            Destination(UnsafeRawBufferPointer(start: address, count: Int(length)))
        }
    }

    /// From the bytes of a `sockaddr_in` or `sockaddr_in6`.
    fileprivate init(_ address: UnsafeRawBufferPointer) {
        func read<Number: FixedWidthInteger>(_ offset: Int, _ type: Number.Type) -> Number {
            Number(bigEndian: address.loadUnaligned(fromByteOffset: offset, as: type))
        }
        let isIPv6 = address.loadUnaligned(as: sa_family_t.self) == sa_family_t(AF_INET6)
        self.init(
            host: isIPv6
                ? .ipv6(IPv6Address(high: read(8, UInt64.self), low: read(16, UInt64.self)))
                : .ipv4(IPv4Address(rawValue: read(4, UInt32.self))),
            port: read(2, UInt16.self)
        )
    }

    /// Of an address, not a name.
    fileprivate var numeric: NumericAddress {
        get throws {
            switch host {
            case .ipv4(let address): try NumericAddress(address.description, Int(port))
            case .ipv6(let address): try NumericAddress(address.description, Int(port))
            case .name(let name): throw TestFailure("\(name) isn't an address")
            }
        }
    }
}

/// A number of consecutive unbound ports, outside of the range from which the system chooses.
public func freePorts(_ count: Int) throws -> ClosedRange<UInt16> {
    for first in stride(from: Int.random(in: 20_000..<30_000), to: 32_000, by: count) {
        let sockets = (0..<count).map { try? TestDatagramSocket(port: first + $0) }
        for socket in sockets { socket?.close() }
        if sockets.allSatisfy({ $0 != nil }) { return UInt16(first)...UInt16(first + count - 1) }
    }
    throw TestFailure("no \(count) ports in a row")
}
