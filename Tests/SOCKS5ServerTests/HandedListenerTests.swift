import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server

/// Listening sockets that go from one server to the next.
@Suite struct HandedListenerTests {
    private static func server(_ workers: Int, _ addresses: ListenAddress...) throws -> ProxyServer {
        var configuration = Configuration()
        configuration.listen = addresses
        configuration.workers = workers
        return try ProxyServer(configuration: configuration, logger: suiteLogger)
    }

    private static func greet(_ port: Int, times: Int) throws {
        for _ in 0..<times {
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(Greeting(methods: [.noAuthentication]))
            _ = try socket.receive(MethodSelection.self)
        }
    }

    @Test(arguments: [(1, 3), (3, 1), (2, 2)])
    func theNextServerServesTheSamePortWithAnyNumberOfWorkers(_ first: Int, _ second: Int) async throws {
        let old = try Self.server(first, .loopback(port: 0))
        try await old.start()
        let port = try #require(old.boundAddresses.first?.port)
        let next = try Self.server(second, .loopback(port: 0))
        let handed = await old.copyOfListeners()
        #expect(handed.map(\.sockets.count) == [first])
        try await next.start(takingOver: handed)
        #expect(next.boundAddresses == old.boundAddresses)
        await old.leave(grace: .zero)
        next.takeOverDidEnd()
        try await onThread { try Self.greet(port, times: 30) }
        await next.stop(grace: .zero)
        #expect(next.statistics[.accepted] >= 30)
    }

    /// Its end must not touch what the other one listens on.
    @Test func aServerThatEndsHalfWayLeavesTheOtherServing() async throws {
        let old = try Self.server(2, .loopback(port: 0))
        try await old.start()
        let port = try #require(old.boundAddresses.first?.port)
        let next = try Self.server(2, .loopback(port: 0))
        try await next.start(takingOver: await old.copyOfListeners())
        await next.stop(grace: .zero)
        try await onThread { try Self.greet(port, times: 30) }
        await old.stop(grace: .zero)
    }

    @Test func socketsOfOtherAddressesAreClosed() async throws {
        let old = try Self.server(2, .loopback(port: 0), try ListenAddress(parsing: "127.0.0.2:0"))
        try await old.start()
        let ports = old.boundAddresses.map(\.port)
        let next = try Self.server(1, .loopback(port: 0), try ListenAddress(parsing: "127.0.0.3:0"))
        try await next.start(takingOver: await old.copyOfListeners())
        #expect(next.boundAddresses[0].port == ports[0])
        await old.leave(grace: .zero)
        next.takeOverDidEnd()
        try await onThread {
            try Self.greet(ports[0], times: 5)
            #expect(throws: TestFailure.self) { try TestSocket(connectingTo: ports[1], host: "127.0.0.2") }
        }
        await next.stop(grace: .zero)
    }

    @Test func aServerThatDoesntRunHasNothingToHandOver() async throws {
        let server = try Self.server(1, .loopback(port: 0))
        #expect(await server.copyOfListeners().isEmpty)
        try await server.start()
        await server.stop(grace: .zero)
        #expect(await server.copyOfListeners().isEmpty)
    }

    @Test func whatDoesntListenIsNotTakenOver() throws {
        let connected = try TestListener()
        defer { connected.close() }
        let socket = try TestSocket(connectingTo: connected.port)
        let error = #expect(throws: ProxyServerError.self) {
            try HandedListener(address: .loopback, adopting: [socket.descriptor])
        }
        #expect(error?.code == .cannotInherit)
        #expect(error?.description.contains("127.0.0.1:1080 can't be taken over") == true)
    }
}
