import Glibc
import TestSupport
import Testing

@testable import SOCKS5Server

/// Addresses that appear after the server has started.
@Suite struct RetryTests {
    @Test func anAddressThatAppearsLaterIsListenedOn() async throws {
        let folder = "/tmp/socks5d-test-retry-\(getpid())"
        defer {
            unlink("\(folder)/proxy.sock")
            rmdir(folder)
        }
        let log = RecordedLog()
        var configuration = Configuration()
        configuration.listen = [.loopback(port: 0), try ListenAddress(unix: "\(folder)/proxy.sock")]
        configuration.listeners[1].retry = .seconds(1)
        let server = try ProxyServer(configuration: configuration, logger: log.logger)
        try await server.start()
        #expect(log.count(of: "an address to listen on isn't there yet") == 1)
        let port = try #require(server.boundAddresses.first?.port)
        try await onThread {
            try expect(.connectionRefused, through: port, to: .loopback(closedPort()))
            mkdir(folder, 0o700)
            try eventually("it listens") { log.count(of: "listening") == 1 }
            let client = try TestSocket(connectingToUnix: "\(folder)/proxy.sock")
            defer { client.close() }
            #expect(try client.request(.connect, .loopback(closedPort())).reply == .connectionRefused)
        }
        await server.stop(grace: .zero)
        #expect(access("\(folder)/proxy.sock", F_OK) != 0, "its file goes as those of others")
        #expect(server.statistics.active == 0)
    }

    private func closedPort() throws -> Int {
        let listener = try TestListener()
        defer { listener.close() }
        return listener.port
    }

    @Test func aServerThatLooksForAnAddressStopsAsOthersDo() async throws {
        var configuration = Configuration()
        configuration.listen = [.loopback(port: 0), try ListenAddress(parsing: "192.0.2.1:1080")]
        configuration.isOpen = true
        configuration.listeners[1].retry = .seconds(3600)
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await server.start()
        #expect(server.boundAddresses.map(\.host) == ["127.0.0.1", "192.0.2.1"])
        await server.stop(grace: .zero)
    }

    @Test func anAddressThatIsntThereEndsTheStartWithoutARetry() async throws {
        var configuration = Configuration()
        configuration.listen = [.loopback(port: 0), try ListenAddress(parsing: "192.0.2.1:1080")]
        configuration.isOpen = true
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        let error = await #expect(throws: ProxyServerError.self) { try await server.start() }
        #expect(error?.code == .addressNotAvailable)
        // Other errors don't go away with time.
        let taken = try TestListener()
        defer { taken.close() }
        configuration.listen = [.loopback(port: UInt16(taken.port))]
        configuration.listeners[0].retry = .seconds(1)
        let second = try ProxyServer(configuration: configuration, logger: suiteLogger)
        let trouble = await #expect(throws: ProxyServerError.self) { try await second.start() }
        #expect(trouble?.code == .addressInUse)
    }

    @Test func timesThatAreTooShortOrTooLongAreRefused() {
        expectInvalid(
            [.milliseconds(999), .zero, .seconds(-1), .seconds(86_401)].map { retry in
                { $0.listeners[0].retry = retry }
            }
        ) {
            $0.contains("expected 1 s to 24 h")
        }
    }
}
