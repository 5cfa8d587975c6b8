import Locks
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// Runs parents, each a separate server, and after their start a server whose configuration has their ports.
///
/// - Parameter configurations: the parents' configurations; each serves on a port of its own.
func withParents<Result: Sendable>(
    _ configurations: [(inout Configuration) -> Void],
    _ configure: (inout Configuration, [Int]) throws -> Void,
    _ body: @escaping @Sendable (Int, [ProxyServer]) throws -> Result
) async throws -> Result {
    try await withParents(configurations, configure) { _, port, parents in try body(port, parents) }
}

func withParents<Result: Sendable>(
    _ configurations: [(inout Configuration) -> Void],
    _ configure: (inout Configuration, [Int]) throws -> Void,
    _ body: @escaping @Sendable (ProxyServer, Int, [ProxyServer]) throws -> Result
) async throws -> Result {
    var parents: [ProxyServer] = []
    for change in configurations {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        configuration.workers = 1
        change(&configuration)
        let parent = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await parent.start()
        parents.append(parent)
    }
    let ports = parents.compactMap { $0.boundAddresses.first?.port }
    let running = parents
    return try await attempt {
        try await withServerObject {
            try configure(&$0, ports)
        } _: {
            try body($0, $1, running)
        }
    } then: {
        for parent in running { await parent.stop(grace: .zero) }
    }
}

extension Parent {
    init(_ name: String, _ kind: Kind = .socks5, port: Int, credentials: Credentials? = nil) {
        self.init(
            name,
            kind,
            at: .tcp(.address(.ipv4(IPv4Address(127, 0, 0, 1)), port: UInt16(port))),
            credentials: credentials
        )
    }
}

/// A parent whose answers the test controls.
struct ScriptedParent: Sendable {
    let listener: TestListener
    var port: Int { listener.port }

    init() throws {
        listener = try TestListener()
    }

    /// Takes the next connection.
    func accept() throws -> TestSocket { try listener.accept() }

    func close() { listener.close() }
}

extension TestSocket {
    /// Plays a SOCKS5 parent up to the request, and returns it.
    func takeRequest() throws -> SOCKSRequest {
        _ = try receive(Greeting.self)
        try send(MethodSelection(method: .noAuthentication))
        return try receive(SOCKSRequest.self)
    }
}
