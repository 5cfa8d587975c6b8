internal import Glibc
internal import SOCKS5Protocol

/// A blocking socket of the program's own client side. Every wait ends at its limit; an error is a text.
struct ClientSocket: ~Copyable {
    private let descriptor: Int32
    private let seconds: Int

    struct Trouble: Error, CustomStringConvertible {
        let description: String

        static func last() -> Trouble { Trouble(description: String(cString: strerror(errno))) }
    }

    /// Connects to the first address of a host that answers.
    init(to endpoint: Endpoint, datagrams: Bool = false, seconds: Int) throws(Trouble) {
        self.seconds = seconds
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICSERV
        hints.ai_socktype = Int32((datagrams ? SOCK_DGRAM : SOCK_STREAM).rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let error = getaddrinfo(endpoint.host, String(endpoint.port), &hints, &found)
        guard error == 0 else { throw Trouble(description: String(cString: gai_strerror(error))) }
        defer { freeaddrinfo(found) }
        var trouble = Trouble(description: "no address")
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

    private static func connect(_ info: addrinfo, _ seconds: Int) throws(Trouble) -> Int32 {
        let descriptor = socket(info.ai_family, info.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .last() }
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        guard Glibc.connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 else {
            // What a connect that ran out of time says on Linux.
            let trouble = errno == EINPROGRESS ? noAnswer(seconds) : .last()
            close(descriptor)
            throw trouble
        }
        return descriptor
    }

    private static func noAnswer(_ seconds: Int) -> Trouble {
        Trouble(description: "no answer within \(seconds) s")
    }

    borrowing func send(_ bytes: [UInt8]) throws(Trouble) {
        guard Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw .last()
        }
    }

    /// What comes next, up to `limit` bytes; empty at the end.
    borrowing func receive(_ limit: Int) throws(Trouble) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = recv(descriptor, &bytes, limit, 0)
        guard count >= 0 else {
            throw errno == EAGAIN ? Self.noAnswer(seconds) : .last()
        }
        return Array(bytes.prefix(count))
    }

    /// One message and nothing behind it.
    borrowing func receive<Expected: Message>(_ type: Expected.Type) throws(Trouble) -> Expected {
        var bytes: [UInt8] = []
        while true {
            let byte = try receive(1)
            guard !byte.isEmpty else {
                throw Trouble(description: "it closed instead of answering")
            }
            bytes += byte
            do throws(DecodingError) {
                if let message = try Expected.decode(bytes)?.message { return message }
            } catch {
                throw Trouble(description: "it does not answer as a SOCKS5 server")
            }
        }
    }

    deinit {
        close(descriptor)
    }
}
