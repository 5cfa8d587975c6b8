import Glibc
import Locks
import Synchronization
import UVLoop

/// A name server on 127.0.0.1 port 53 with scripted answers, for tests in a ``NetworkNamespace``.
public final class DNSServer: Sendable {
    public enum Answer: Sendable {
        /// Numeric; the question decides which family is returned.
        case addresses([String])
        /// SERVFAIL (RFC 1035 section 4.1.1).
        case failure
        /// NXDOMAIN.
        case noSuchName
        case silence
    }

    public struct Question: Hashable, Sendable {
        /// Lower case, without a dot at the end.
        public let name: String
        public let isIPv6: Bool
    }

    private let descriptor: Int32
    private let script: @Sendable (String) -> (Answer, afterMilliseconds: Int)
    private let asked = Guarded([Question]())
    private let isStopped = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)

    /// - Parameter script: the answer for a name, and its delay in milliseconds.
    public init(_ script: @escaping @Sendable (String) -> (Answer, afterMilliseconds: Int)) throws {
        self.script = script
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        descriptor = socket(AF_INET, type, 0)
        guard descriptor >= 0 else { throw TestFailure.lastError("socket") }
        var size: Int32 = 4 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        let address = try NumericAddress("127.0.0.1", 53)
        guard address.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else {
            let failure = TestFailure.lastError("bind to port 53")
            closeOnce(descriptor)
            throw failure
        }
        try LoopThread.start(named: "dns") { [self] in
            serve()
            closeOnce(descriptor)
            hasEnded.store(true, ordering: .releasing)
        }
    }

    /// All questions so far.
    public var questions: [Question] { asked.withLock { $0 } }

    public func stop() {
        isStopped.store(true, ordering: .relaxed)
        while !hasEnded.load(ordering: .acquiring) { usleep(1000) }
    }

    private struct Late {
        let time: Int
        let bytes: [UInt8]
        let peer: sockaddr_in
    }

    private func serve() {
        var late: [Late] = []
        while !isStopped.load(ordering: .relaxed) {
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            poll(&ready, 1, late.isEmpty ? 20 : 2)
            while let (query, peer) = receive() {
                guard let (question, length) = Self.parse(query) else { continue }
                asked.withLock { $0.append(question) }
                let (answer, delay) = script(question.name)
                guard let bytes = Self.encode(answer, question, query[..<length]) else { continue }
                late.append(Late(time: monotonicMilliseconds() + delay, bytes: bytes, peer: peer))
            }
            let now = monotonicMilliseconds()
            for due in late where due.time <= now { send(due) }
            late.removeAll { $0.time <= now }
        }
    }

    private func receive() -> ([UInt8], sockaddr_in)? {
        var bytes = [UInt8](repeating: 0, count: 512)
        var peer = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutablePointer(to: &peer) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT), $0, &size)
            }
        }
        return count > 0 ? (Array(bytes[..<count]), peer) : nil
    }

    private func send(_ due: Late) {
        var peer = due.peer
        withUnsafePointer(to: &peer) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                let size = socklen_t(MemoryLayout<sockaddr_in>.size)
                _ = sendto(descriptor, due.bytes, due.bytes.count, 0, $0, size)
            }
        }
    }

    // MARK: - Messages (RFC 1035 section 4)

    private static let headerLength = 12
    private static let typeIPv4: UInt8 = 1
    private static let typeIPv6: UInt8 = 28

    /// The one question, and the length of header and question.
    private static func parse(_ query: [UInt8]) -> (Question, length: Int)? {
        var labels: [String] = []
        var index = headerLength
        while index < query.count, query[index] > 0 {
            let end = index + 1 + Int(query[index])
            guard end < query.count else { return nil }
            labels.append(String(decoding: query[(index + 1)..<end], as: UTF8.self).lowercased())
            index = end
        }
        guard index + 5 <= query.count else { return nil }
        let isIPv6 = query[index + 2] == typeIPv6
        return (Question(name: labels.joined(separator: "."), isIPv6: isIPv6), index + 5)
    }

    private static func encode(_ answer: Answer, _ question: Question, _ query: ArraySlice<UInt8>) -> [UInt8]?
    {
        var code: UInt8 = 0
        var addresses: [[UInt8]] = []
        switch answer {
        case .silence: return nil
        case .failure: code = 2
        case .noSuchName: code = 3
        case .addresses(let texts): addresses = texts.compactMap { bytes(of: $0, isIPv6: question.isIPv6) }
        }
        // The same identifier; a response, recursion available; one question, this many answers.
        var message = Array(query)
        message[2] = 0x81
        message[3] = 0x80 | code
        message[6] = UInt8(addresses.count >> 8)
        message[7] = UInt8(addresses.count & 0xff)
        for index in 8..<headerLength { message[index] = 0 }
        for address in addresses {
            // The name is that of the question, the class IN, the time to live a minute.
            message += [
                0xc0, UInt8(headerLength), 0, question.isIPv6 ? typeIPv6 : typeIPv4, 0, 1, 0, 0, 0, 60,
            ]
            message += [0, UInt8(address.count)] + address
        }
        return message
    }

    private static func bytes(of text: String, isIPv6: Bool) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: isIPv6 ? 16 : 4)
        return inet_pton(isIPv6 ? AF_INET6 : AF_INET, text, &bytes) == 1 ? bytes : nil
    }
}
