import Glibc
import Locks
import Logging
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing
import UVLoop

let suiteLogger = Logger(label: "test") { _ in SuiteLogHandler() }

/// Records everything, only for ``SuiteLog``.
private struct SuiteLogHandler: LogHandler {
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]
    var record: RecordedLog?

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        record?.add("\(event.message)")
        SuiteLog.add("\(event.level) \(event.message) \(metadata) \(event.metadata ?? [:])\n".utf8)
    }
}

/// The messages that a server has logged.
final class RecordedLog: Sendable {
    private let messages = Guarded<[String]>([])

    var logger: Logger { Logger(label: "test") { _ in SuiteLogHandler(record: self) } }

    func count(of message: String) -> Int { messages.withLock { $0.count { $0 == message } } }

    fileprivate func add(_ message: String) {
        messages.withLock { $0.append(message) }
    }
}

/// The sessions that a server has reported.
final class RecordedSessions: SessionObserver {
    private let events = Guarded<[SessionEvent]>([])

    func observe(_ event: SessionEvent) { events.withLock { $0.append(event) } }

    var began: [SessionInfo] {
        events.withLock { $0.compactMap { if case .began(let info) = $0 { info } else { nil } } }
    }
    var ended: [SessionInfo] {
        events.withLock { $0.compactMap { if case .ended(let info) = $0 { info } else { nil } } }
    }

    /// Waits for the end of the session with this number, in the order of the ends.
    func next(after count: Int) throws -> SessionInfo {
        try eventually("session \(count) has ended") { ended.count > count }
        return ended[count]
    }
}

/// Runs a server on a port of its own, with `body` beside it on a thread, and stops the server. Then no session must be
/// left, and the counters must include all of them.
func withServer<Result: Sendable>(
    _ configure: (inout Configuration) -> Void = { _ in },
    _ body: @escaping @Sendable (Int) throws -> Result
) async throws -> Result {
    try await withServerObject(configure) { _, port in try body(port) }
}

func withServerObject<Result: Sendable>(
    logger: Logger = suiteLogger,
    _ configure: (inout Configuration) throws -> Void = { _ in },
    _ body: @escaping @Sendable (ProxyServer, Int) throws -> Result
) async throws -> Result {
    var configuration = Configuration()
    configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
    configuration.workers = 2
    try configure(&configuration)
    let server = try ProxyServer(configuration: configuration, logger: logger)
    try await server.start()
    let port = try #require(server.boundAddresses.first?.port)
    let result = try await attempt {
        try await onThread { try body(server, port) }
    } then: {
        await server.stop(grace: .zero)
    }
    #expect(server.statistics.active == 0)
    expectAgreement(of: server)
    return result
}

/// A client with this number as its IPv4 address.
func peer(_ number: UInt32) -> Peer { Peer(.ipv4(IPv4Address(rawValue: number)), port: 1) }

let someone = peer(1)

/// The reply to a request of a client without a login.
func reply(
    through proxy: Int,
    to destination: Destination,
    by command: SOCKSCommand = .connect
) throws -> Reply {
    let socket = try TestSocket(connectingTo: proxy)
    defer { socket.close() }
    return try socket.request(command, destination).reply
}

func expect(
    _ expected: Reply,
    through proxy: Int,
    to destination: Destination,
    by command: SOCKSCommand = .connect,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let reply = try reply(through: proxy, to: destination, by: command)
    #expect(reply == expected, "\(destination)", sourceLocation: sourceLocation)
}

/// Each change makes a configuration that can't be served.
///
/// - Parameter isRight: checks the error's text.
func expectInvalid(
    _ changes: [(inout Configuration) -> Void],
    isRight: (String) -> Bool = { _ in true },
    sourceLocation: SourceLocation = #_sourceLocation
) {
    for (index, change) in changes.enumerated() {
        var configuration = Configuration()
        change(&configuration)
        let error = #expect(
            throws: ProxyServerError.self,
            "change \(index)",
            sourceLocation: sourceLocation
        ) {
            try ProxyServer(configuration: configuration, logger: suiteLogger)
        }
        #expect(error?.code == .invalidConfiguration, sourceLocation: sourceLocation)
        let text = error?.description ?? ""
        #expect(isRight(text), "change \(index): \(text)", sourceLocation: sourceLocation)
    }
}

/// Connects, requests a target that `serve` plays on a separate thread, and runs `client` on the tunnel.
func relay(
    through proxy: Int,
    client: @escaping @Sendable (TestSocket) throws -> Void,
    target serve: @escaping @Sendable (TestSocket) throws -> Void
) async throws {
    let listener = try TestListener()
    defer { listener.close() }
    async let served: Void = onThread {
        let socket = try listener.accept()
        defer { socket.close() }
        try serve(socket)
    }
    try await onThread {
        let socket = try TestSocket.tunnel(through: proxy, to: .loopback(listener.port))
        defer { socket.close() }
        try client(socket)
    }
    try await served
}

/// Like ``relay(through:client:target:)``, with several servers: one that copies, one that splices bulk streams, and
/// one that splices everything.
func withRelay(
    _ configure: (inout Configuration) -> Void = { _ in },
    client: @escaping @Sendable (TestSocket) throws -> Void,
    target serve: @escaping @Sendable (TestSocket) throws -> Void
) async throws {
    for splicing in Splicing.allCases {
        try await withRelay(splicing, configure, client, serve)
    }
}

private func withRelay(
    _ splicing: Splicing,
    _ configure: (inout Configuration) -> Void,
    _ client: @escaping @Sendable (TestSocket) throws -> Void,
    _ serve: @escaping @Sendable (TestSocket) throws -> Void
) async throws {
    var configuration = Configuration()
    configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
    configuration.splicing = splicing
    configure(&configuration)
    let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
    try await server.start()
    let port = try #require(server.boundAddresses.first?.port)
    do {
        try await relay(through: port, client: client, target: serve)
    } catch {
        await server.stop(grace: .zero)
        throw error
    }
    await server.stop(grace: .seconds(5))
    #expect(server.statistics.active == 0)
    expectAgreement(of: server)
}

/// FNV-1a over a stream of bytes.
struct StreamHash: Equatable {
    private var state: UInt64 = 0xcbf2_9ce4_8422_2325
    private(set) var count = 0

    mutating func add(_ bytes: some Sequence<UInt8>) {
        for byte in bytes {
            state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
            count += 1
        }
    }
}
