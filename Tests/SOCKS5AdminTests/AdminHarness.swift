import Glibc
import Logging
import SOCKS5Server
import TestSupport
import Testing

@testable import SOCKS5Admin

/// A proxy and its admin server, for a test.
struct AdminRig: Sendable {
    let proxy: ProxyServer
    let proxyPort: Int
    let admin: AdminServer
    /// The port of the admin server; 0 on a unix socket.
    let port: Int

    func connect() throws -> TestSocket { try TestSocket(connectingTo: port) }

    /// One request on a connection of its own.
    func ask(_ request: String, _ headers: String..., body: String = "") throws -> HTTPAnswer {
        let socket = try connect()
        defer { socket.close() }
        return try socket.ask(request, headers, body: body)
    }

    /// Checks the status of one request on a connection of its own.
    func expect(
        _ status: Int,
        _ request: String,
        _ headers: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let socket = try connect()
        defer { socket.close() }
        let answer = try socket.ask(request, headers)
        #expect(answer.status == status, "\(request): \(answer)", sourceLocation: sourceLocation)
    }
}

/// Runs both on ports of their own, with `body` beside them on a thread, and stops them.
///
/// - Parameter address: the address of the admin server.
func withAdmin<Result: Sendable>(
    at address: String = "127.0.0.1:0",
    token: String? = nil,
    startingProxy: Bool = true,
    actions: AdminActions = AdminActions(),
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
    limits change: (inout HTTPLimits) -> Void = { _ in },
    proxy configure: (inout Configuration) -> Void = { _ in },
    _ body: @escaping @Sendable (AdminRig) throws -> Result
) async throws -> Result {
    var configuration = Configuration()
    configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
    configuration.workers = 2
    configure(&configuration)
    let proxy = try ProxyServer(configuration: configuration, logger: logger)
    var settings = AdminConfiguration(address: try AdminAddress(parsing: address))
    settings.token = token.flatMap { AdminToken(Array($0.utf8)) }
    change(&settings.limits)
    let admin = try AdminServer(proxy, configuration: settings, actions: actions, logger: logger)
    try admin.start()
    if startingProxy { try await proxy.start() }
    let bound = try #require(admin.boundAddress)
    let port = if case .tcp(let address) = bound { address.port } else { 0 }
    let rig = AdminRig(
        proxy: proxy,
        proxyPort: proxy.boundAddresses.first?.port ?? 0,
        admin: admin,
        port: port
    )
    return try await attempt {
        try await onThread { try body(rig) }
    } then: {
        await proxy.stop(grace: .zero)
        await admin.stop()
    }
}

struct HTTPAnswer: Sendable, CustomStringConvertible {
    var status = 0
    /// Names are in lower case.
    var headers: [String: String] = [:]
    var body: [UInt8] = []

    var text: String { String(decoding: body, as: UTF8.self) }
    var description: String { "\(status) \(headers) \(text)" }
}

extension TestSocket {
    /// - Parameter request: the method and the target.
    func ask(_ request: String, _ headers: [String] = [], body: String = "") throws -> HTTPAnswer {
        try sendRequest(request, headers, body: body)
        return try receiveAnswer(hasBody: !request.hasPrefix("HEAD "))
    }

    func sendRequest(_ request: String, _ headers: [String] = [], body: String = "") throws {
        var lines = ["\(request) HTTP/1.1"] + headers
        if !headers.contains(where: { $0.hasPrefix("Host:") }) { lines.append("Host: localhost") }
        if !body.isEmpty { lines.append("Content-Length: \(body.utf8.count)") }
        try send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8))
    }

    func receiveAnswer(hasBody: Bool = true) throws -> HTTPAnswer {
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) { head += try receive(1) }
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
        var answer = HTTPAnswer()
        answer.status =
            lines.first.flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Int($0) } ?? 0
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { throw TestFailure("the header field '\(line)'") }
            answer.headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
        }
        guard let length = answer.headers["content-length"].flatMap({ Int($0) }) else {
            throw TestFailure("no length in \(lines)")
        }
        if hasBody { answer.body = try receive(length) }
        return answer
    }
}
