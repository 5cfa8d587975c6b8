internal import CProcess
internal import Glibc
internal import SOCKS5Protocol

/// A blocking socket of the program's own client side. Every wait has a time limit.
struct ClientSocket: ~Copyable {
    private let descriptor: Int32
    let seconds: Int

    enum Trouble: Error, CustomStringConvertible {
        /// The name can't be looked up; the text of getaddrinfo(3).
        case name(String)
        /// A system call has failed with this error.
        case system(Int32)
        /// Nothing came within this many seconds.
        case silence(Int)

        static func last() -> Trouble { .system(errno) }

        var description: String {
            switch self {
            case .name(let text): text
            case .system(let code): String(cString: strerror(code))
            case .silence(let seconds): "no answer within \(seconds) s"
            }
        }
    }

    /// Connects to the first address of a host that answers.
    init(to endpoint: HostAndPort, datagrams: Bool = false, seconds: Int) throws(Trouble) {
        self.seconds = seconds
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICSERV
        hints.ai_socktype = Int32((datagrams ? SOCK_DGRAM : SOCK_STREAM).rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let error = getaddrinfo(endpoint.host, String(endpoint.port), &hints, &found)
        guard error == 0 else { throw .name(String(cString: gai_strerror(error))) }
        defer { freeaddrinfo(found) }
        var trouble = Trouble.name("no address")
        var next = found
        while let info = next?.pointee {
            do {
                descriptor = try Self.connect(info, seconds)
                return
            } catch {
                trouble = error
                next = info.ai_next
            }
        }
        throw trouble
    }

    /// Connects to a unix socket.
    ///
    /// - Parameter path: at most 107 bytes.
    init(toUnix path: String, seconds: Int) throws(Trouble) {
        self.seconds = seconds
        let unconnected = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard unconnected >= 0 else { throw .last() }
        Self.limitWaits(of: unconnected, seconds)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let result = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(unconnected, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let trouble: Trouble = errno == EAGAIN ? .silence(seconds) : .last()
            close(unconnected)
            throw trouble
        }
        descriptor = unconnected
    }

    private static func limitWaits(of descriptor: Int32, _ seconds: Int) {
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    }

    private static func connect(_ info: addrinfo, _ seconds: Int) throws(Trouble) -> Int32 {
        let descriptor = socket(info.ai_family, info.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .last() }
        limitWaits(of: descriptor, seconds)
        guard Glibc.connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 else {
            // On Linux connect(2) reports a timeout in this way.
            let trouble: Trouble = errno == EINPROGRESS ? .silence(seconds) : .last()
            close(descriptor)
            throw trouble
        }
        return descriptor
    }

    borrowing func send(_ bytes: [UInt8]) throws(Trouble) {
        guard Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw .last()
        }
    }

    /// Ends its own direction.
    borrowing func end() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// The next bytes, up to `limit`; empty at the end.
    borrowing func receive(_ limit: Int) throws(Trouble) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = recv(descriptor, &bytes, limit, 0)
        guard count >= 0 else { throw errno == EAGAIN ? .silence(seconds) : .last() }
        return Array(bytes.prefix(count))
    }

    /// The next bytes, and the descriptors that were passed beside them, which the caller then owns.
    borrowing func receive(_ limit: Int, passed: inout [Int32]) throws(Trouble) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: limit)
        var descriptors = [Int32](repeating: -1, count: 256)
        var there = 0
        let count = process_receive(descriptor, &bytes, limit, &descriptors, descriptors.count, &there)
        guard count >= 0 else { throw errno == EAGAIN ? .silence(seconds) : .last() }
        passed += descriptors.prefix(there)
        return Array(bytes.prefix(count))
    }

    /// The bytes that come within a moment, for a message that shows them; empty if none do.
    borrowing func receiveShortly(_ limit: Int) -> [UInt8] {
        var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&ready, 1, 200) > 0 ? (try? receive(limit)) ?? [] : []
    }

    deinit {
        close(descriptor)
    }
}
