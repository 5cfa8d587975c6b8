import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server
@testable import UVLoop

/// Listening sockets that are passed from one server to the next.
@Suite struct HandedListenerTests {
    private static func server(
        _ workers: Int,
        _ addresses: ListenAddress...,
        isOpen: Bool = false
    ) throws -> ProxyServer {
        var configuration = Configuration()
        configuration.isOpen = isOpen
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

    /// Its end must not affect the sockets that the other one listens on.
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

    /// The old server has handed copies out, and is told to stop before the next one announces that it serves.
    @Test func anEndOfTheOldServerLeavesTheNextOneServing() async throws {
        let old = try Self.server(2, .loopback(port: 0))
        try await old.start()
        let port = try #require(old.boundAddresses.first?.port)
        let next = try Self.server(2, .loopback(port: 0))
        let handed = await old.copyOfListeners()
        await old.stop(grace: .zero)
        try await next.start(takingOver: handed)
        try await onThread { try Self.greet(port, times: 30) }
        next.takeOverDidEnd()
        await next.stop(grace: .zero)
    }

    /// As a service manager does that keeps its sockets from one process to the next.
    @Test func aSocketThatAnEndedServerHasUsedServesAgain() async throws {
        let first = try Self.server(1, .loopback(port: 0))
        try await first.start()
        let port = try #require(first.boundAddresses.first?.port)
        let copies = await first.copyOfListeners()
        let kept = try copies[0].sockets[0].duplicated()
        let second = try Self.server(1, .loopback(port: 0))
        try await second.start(takingOver: copies)
        await first.leave(grace: .zero)
        second.takeOverDidEnd()
        await second.stop(grace: .zero)
        let third = try Self.server(1, .loopback(port: 0))
        let descriptor = kept.descriptor
        try await third.start(takingOver: [
            HandedListener(address: .loopback(port: 0), adopting: [descriptor])
        ])
        third.takeOverDidEnd()
        try await onThread { try Self.greet(port, times: 10) }
        await third.stop(grace: .zero)
    }

    /// Only the handed socket shows that others can reach it.
    @Test func aHandedSocketThatStrangersReachIsRefusedWithoutUsers() async throws {
        let old = try Self.server(1, ListenAddress(.ipv4(.any), port: 0), isOpen: true)
        try await old.start()
        let address = try ListenAddress(inherited: "strangers")
        let handed = await old.copyOfListeners().map { HandedListener(address: address, sockets: $0.sockets) }
        let next = try Self.server(1, address)
        let error = await #expect(throws: ProxyServerError.self) { try await next.start(takingOver: handed) }
        #expect(error?.code == .openToNetwork)
        #expect(next.configuration.guardsDestinations)
        await old.stop(grace: .zero)
    }

    @Test func aServerThatDoesntRunHasNothingToHandOver() async throws {
        let server = try Self.server(1, .loopback(port: 0))
        #expect(await server.copyOfListeners().isEmpty)
        try await server.start()
        await server.stop(grace: .zero)
        #expect(await server.copyOfListeners().isEmpty)
    }

    /// Nothing is closed here, because the process that asked for the sockets closes them all.
    @Test func socketsThatDontListenAreNotTakenOver() throws {
        let listening = try ListeningSocket(SocketAddress(host: .ipv4(0x7f00_0001), port: 0), [])
        defer { listening.close() }
        let socket = try TestSocket(connectingTo: Int(listening.boundAddress.port))
        defer { socket.close() }
        let descriptors = [listening.descriptor, socket.descriptor]
        let error = #expect(throws: ProxyServerError.self) {
            try HandedListener(address: .loopback, adopting: descriptors)
        }
        #expect(error?.code == .cannotInherit)
        #expect(error?.description.contains("127.0.0.1:1080 can't be taken over") == true)
        #expect(descriptors.allSatisfy { fcntl($0, F_GETFD) >= 0 })
    }
}
