import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// socks5d at the near end of a line.
struct LinkedServer: Sendable {
    let link: LossyLink
    let server: ChildProcess
    let port: Int

    /// A connection from the far end.
    func connect() throws -> TestSocket {
        try link.far.inside { try TestSocket(connectingTo: port, host: LossyLink.nearHost) }
    }

    /// A tunnel from the far end, and its other end at `listener`.
    func tunnel(to listener: TestListener, at host: String) throws -> (client: TestSocket, target: TestSocket)
    {
        let client = try connect()
        let response = try client.request(.connect, Destination(numeric: host, port: listener.port))
        guard response.reply == .succeeded else { throw TestFailure("reply \(response.reply)") }
        return (client, try listener.accept())
    }

    /// An association of a client at the far end.
    func associate(from host: String = LossyLink.farHosts[0]) throws -> TestAssociation {
        try link.far.inside {
            let connection = try TestSocket(connectingTo: port, host: LossyLink.nearHost, from: host)
            return try TestAssociation(connection, TestDatagramSocket(host: host), .unspecified)
        }
    }
}

/// Runs `body` on a thread outside both networks; the line is perfect at first.
func withLinkedServer(
    seed: UInt64,
    _ arguments: [String] = [],
    _ body: @escaping @Sendable (LinkedServer) throws -> Void
) async throws {
    try await onThread {
        let link = try LossyLink(seed: seed)
        defer { link.remove() }
        let always = ["--listen", "\(LossyLink.nearHost):0", "--open", "--allow-destinations", "all"]
        let server = try Invocation(always + arguments).start(by: link.near.launcher)
        defer { server.finish() }
        try body(LinkedServer(link: link, server: server, port: server.waitForPort()))
    }
}

extension Trait where Self == ConditionTrait {
    static var overLossyLink: ConditionTrait {
        .enabled(if: LossyLink.obstacle == nil, "\(LossyLink.obstacle ?? "")")
    }
}

/// Two clients ask several targets, which answer. Each datagram contains its sender and receiver, and every received
/// one is checked.
struct DatagramTraffic {
    private struct Question: Hashable {
        let client, target, number: Int

        /// 512 bytes.
        func bytes(isAnswer: Bool) -> [UInt8] {
            let head = [
                isAnswer ? 1 : 0, UInt8(client), UInt8(target), UInt8(number >> 8), UInt8(number & 0xff),
            ]
            var random = SeededGenerator(seed: UInt64(client << 32 | target << 16 | number))
            return head + random.bytes(512 - head.count)
        }

        init(client: Int, target: Int, number: Int) {
            (self.client, self.target, self.number) = (client, target, number)
        }

        /// Must be a complete question or answer, and nothing else.
        init(of bytes: [UInt8], isAnswer: Bool) throws {
            guard bytes.count == 512 else { throw TestFailure("\(bytes.count) bytes") }
            self.init(
                client: Int(bytes[1]),
                target: Int(bytes[2]),
                number: Int(bytes[3]) << 8 | Int(bytes[4])
            )
            guard bytes == self.bytes(isAnswer: isAnswer) else { throw TestFailure("garbled: \(bytes)") }
        }
    }

    private let clients: [TestAssociation]
    private let targets: [TestDatagramSocket]
    /// The address by which the targets see each client.
    private var mappings: [Destination?]
    private var number = 0
    private var answered: Set<Question> = []
    private(set) var sentCount = 0
    /// Repeated ones too.
    private(set) var answerCount = 0
    var answeredCount: Int { answered.count }

    init(_ linked: LinkedServer) throws {
        clients = try LossyLink.farHosts[..<2].map { try linked.associate(from: $0) }
        targets = try linked.link.far.inside {
            try LossyLink.farHosts.map { try TestDatagramSocket(host: $0) }
        }
        mappings = clients.map { _ in nil }
    }

    /// Each client asks each target this many times.
    mutating func ask(times: Int = 1) throws {
        for _ in 0..<times {
            for client in clients.indices {
                for target in targets.indices {
                    let question = Question(client: client, target: target, number: number)
                    try clients[client].send(question.bytes(isAnswer: false), to: targets[target].address)
                    sentCount += 1
                }
            }
            number += 1
        }
    }

    /// Answers the questions, and takes the answers that have come by now.
    mutating func handleWhatHasCome() throws {
        for (index, target) in targets.enumerated() {
            while target.hasDatagram {
                let (bytes, source) = try target.receive()
                let question = try Question(of: bytes, isAnswer: false)
                let mapping = mappings[question.client] ?? source
                let isFromProxy = try source.host == Destination(numeric: LossyLink.nearHost, port: 0).host
                guard question.target == index, source == mapping, isFromProxy else {
                    throw TestFailure("\(question) from \(source) at target \(index)")
                }
                mappings[question.client] = mapping
                try target.send(question.bytes(isAnswer: true), to: source)
            }
        }
        for (index, client) in clients.enumerated() {
            while client.socket.hasDatagram {
                let (bytes, source) = try client.receive()
                let question = try Question(of: bytes, isAnswer: true)
                guard question.client == index, source == targets[question.target].address else {
                    throw TestFailure("answer to \(question) from \(source) at client \(index)")
                }
                answered.insert(question)
                answerCount += 1
            }
        }
    }

    /// Whether every client has every target's answer to its last question.
    var hasLastAnswers: Bool {
        clients.indices.allSatisfy { client in
            targets.indices.allSatisfy { target in
                answered.contains(Question(client: client, target: target, number: number - 1))
            }
        }
    }

    func close() {
        for client in clients { client.close() }
        for target in targets { target.close() }
    }
}
