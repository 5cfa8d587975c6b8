import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// socks5d with a name server, in a network of their own.
struct Network: Sendable {
    let namespace: NetworkNamespace
    let dns: DNSServer
    let server: ChildProcess
    let port: Int

    /// An address of the network from which targets can be reached.
    static let live = "203.0.113.1"
    static let live6 = "2001:db8::1"

    /// Sends greeting and request together, without reading anything.
    func ask(_ destination: Destination, from source: String = "127.0.0.1") throws -> TestSocket {
        let socket = try TestSocket(connectingTo: port, from: source)
        let request = SOCKSRequest(command: .connect, destination: destination)
        try socket.send(Greeting(methods: [.noAuthentication]).encoded + request.encoded)
        return socket
    }

    func ask(_ name: String, _ port: Int = 80, from source: String = "127.0.0.1") throws -> TestSocket {
        try ask(Destination(name: name, port: port), from: source)
    }

    /// Sends a request, and waits for the reply.
    func expect(
        _ reply: Reply,
        for name: String,
        _ port: Int = 80,
        from source: String = "127.0.0.1",
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let socket = try ask(name, port, from: source)
        defer { socket.close() }
        let received = try socket.reply()
        #expect(received == reply, "\(name)", sourceLocation: sourceLocation)
    }
}

extension TestSocket {
    /// The reply to ``Network/ask(_:from:)``.
    func reply() throws -> Reply {
        guard try receive(2) == [5, 0] else { throw TestFailure("another method") }
        return try receive(SOCKSResponse.self).reply
    }
}

/// Runs `body` on a thread inside a network in which socks5d serves.
func withNetwork(
    _ arguments: [String] = [],
    environment: [String: String] = [:],
    resolver: String = "options timeout:10 attempts:1",
    hosts: String = "",
    dns script: @escaping @Sendable (String) -> (DNSServer.Answer, afterMilliseconds: Int) = { _ in
        (.noSuchName, 0)
    },
    prepare: @escaping @Sendable (NetworkNamespace) throws -> Void = { _ in },
    _ body: @escaping @Sendable (Network) throws -> Void
) async throws {
    try await onThread {
        let namespace = try NetworkNamespace(
            resolver: "nameserver 127.0.0.1\n\(resolver)",
            hosts: hosts
        )
        defer { namespace.remove() }
        try namespace.ip("address", "add", "\(Network.live)/32", "dev", "lo")
        try namespace.ip("address", "add", "\(Network.live6)/128", "dev", "lo", "nodad")
        try prepare(namespace)
        try namespace.inside {
            let dns = try DNSServer(script)
            defer { dns.stop() }
            let invocation = Invocation.anyPort.adding(Invocation(arguments, environment: environment))
            let server = try invocation.start(by: namespace.launcher)
            defer { server.finish() }
            try body(Network(namespace: namespace, dns: dns, server: server, port: server.waitForPort()))
        }
    }
}

/// The suites that need a network of their own.
extension Trait where Self == ConditionTrait {
    static var inNamespace: ConditionTrait {
        .enabled(if: NetworkNamespace.isPermitted, "this user may not make network namespaces (ip-netns(8))")
    }
}

/// How long `body` took, in milliseconds.
func milliseconds(_ body: () throws -> Void) rethrows -> Int {
    let start = monotonicMilliseconds()
    try body()
    return monotonicMilliseconds() - start
}
