import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

@Suite struct LifecycleTests {
    @Test func stoppingLetsARunningTransferEnd() async throws {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await server.start()
        let port = try #require(server.boundAddresses.first?.port)
        let listener = try TestListener()
        defer { listener.close() }
        let (client, target) = try await onThread {
            try (TestSocket.tunnel(through: port, to: .loopback(listener.port)), listener.accept())
        }
        async let stopped: Void = server.stop(grace: .seconds(15))
        try await onThread {
            try eventually("listening ends") {
                guard let socket = try? TestSocket(connectingTo: port) else { return true }
                socket.close()
                return false
            }
            try target.send([1, 2, 3])
            target.close()
            #expect(try client.receiveToEnd() == [1, 2, 3])
            client.close()
        }
        await stopped
        #expect(server.statistics.active == 0)
    }

    @Test func sessionsLeftAtTheEndOfTheGraceAreReset() async throws {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await server.start()
        let port = try #require(server.boundAddresses.first?.port)
        let listener = try TestListener()
        defer { listener.close() }
        let (client, target) = try await onThread {
            try (TestSocket.tunnel(through: port, to: .loopback(listener.port)), listener.accept())
        }
        await server.stop(grace: .milliseconds(200))
        try await onThread {
            try client.expectReset()
            try target.expectReset()
            client.close()
            target.close()
        }
    }

    @Test func runEndsWhenItsTaskIsCancelled() async throws {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        let task = Task { try await server.run() }
        try await onThread { try eventually("it listens") { !server.boundAddresses.isEmpty } }
        task.cancel()
        try await task.value
    }

    @Test func aStartedServerCanBeAwaited() async throws {
        var configuration = Configuration()
        configuration.listen = [.loopback(port: 0)]
        configuration.timeouts.drain = .milliseconds(10)
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await server.start()
        #expect(server.boundAddresses.first?.port != 0)
        async let ended: Void = server.waitUntilEnded()
        let client = try await onThread { [port = server.boundAddresses[0].port] in
            try TestSocket(connectingTo: port)
        }
        defer { client.close() }
        try await onThread { try eventually("it serves") { server.statistics.active == 1 } }
        await server.stop()
        await ended
        await server.waitUntilEnded()
        #expect(server.statistics.active == 0)
    }

    /// From before the start until after the end.
    @Test func aStopDuringTheStartIsNotLost() async throws {
        var outcomes: Set<String> = []
        for round in 0..<40 {
            let server = try Self.server(workers: 16)
            async let started: Void = server.start()
            for _ in 0..<(round * 4) { await Task.yield() }
            await server.stop(grace: .zero)
            do {
                try await started
                outcomes.insert("started")
            } catch {
                let code = try #require(error as? ProxyServerError).code
                #expect(code == .stopped)
                outcomes.insert("stopped")
            }
            #expect(server.statistics.active == 0)
            try await onThread { try eventually("nobody listens") { !Self.accepts(server) } }
            let error = await #expect(throws: ProxyServerError.self) { try await server.start() }
            #expect(error?.code == .stopped)
        }
        #expect(outcomes.contains("stopped"))
    }

    @Test func aServerThatWasStoppedNeverStarts() async throws {
        let server = try Self.server()
        await server.stop(grace: .seconds(60))
        let error = await #expect(throws: ProxyServerError.self) { try await server.start() }
        #expect(error?.code == .stopped)
        #expect(server.boundAddresses.isEmpty)
        try await server.run()
        await server.stop(grace: .zero)
    }

    @Test func aServerStartsOnce() async throws {
        let server = try Self.server()
        try await server.start()
        for _ in 0..<2 {
            let error = await #expect(throws: ProxyServerError.self) { try await server.start() }
            #expect(error?.code == .alreadyStarted)
        }
        await #expect(throws: ProxyServerError.self) { try await server.run() }
        #expect(Self.accepts(server))
        async let first: Void = server.stop(grace: .seconds(60))
        async let second: Void = server.stop(grace: .zero)
        _ = await (first, second)
    }

    @Test func runReturnsWheneverItsTaskIsCancelled() async throws {
        for round in 0..<40 {
            let server = try Self.server(workers: 16)
            let task = Task { try await server.run() }
            for _ in 0..<(round * 4) { await Task.yield() }
            task.cancel()
            try await task.value
            try await onThread { try eventually("nobody listens") { !Self.accepts(server) } }
        }
    }

    /// As `cancelWhenGracefulShutdown` of swift-service-lifecycle does: it cancels `operation` when the shutdown
    /// begins.
    private static func cancelling(
        when word: AsyncStream<Void>,
        _ operation: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await operation() }
            group.addTask { for await _ in word { break } }
            _ = try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    @Test func aGracefulShutdownLetsTransfersEndAndRunReturn() async throws {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        configuration.timeouts.drain = .seconds(60)
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        let (words, shutdown) = AsyncStream<Void>.makeStream()
        async let service: Void = Self.cancelling(when: words) { try await server.run() }
        try await onThread {
            try eventually("it listens") { !server.boundAddresses.isEmpty }
            let port = server.boundAddresses[0].port
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
            let target = try listener.accept()
            shutdown.yield()
            try eventually("listening ends") { !Self.accepts(server) }
            try target.send([1, 2, 3])
            target.close()
            #expect(try client.receiveToEnd() == [1, 2, 3])
            client.close()
        }
        try await service
        #expect(server.statistics.active == 0)
    }

    private static func server(workers: Int? = nil) throws -> ProxyServer {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        configuration.workers = workers
        return try ProxyServer(configuration: configuration, logger: suiteLogger)
    }

    private static func accepts(_ server: ProxyServer) -> Bool {
        guard let port = server.boundAddresses.first?.port,
            let socket = try? TestSocket(connectingTo: port)
        else { return false }
        socket.close()
        return true
    }

    @Test func aSecondServerOnThePortIsRefusedUnlessSharingIsMeant() async throws {
        try await withServer { port in _ = port }
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        let first = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await first.start()
        configuration.listen = first.boundAddresses
        let second = try ProxyServer(configuration: configuration, logger: suiteLogger)
        let error = await #expect(throws: ProxyServerError.self) { try await second.start() }
        #expect(error?.code == .addressInUse)
        configuration.sharesPort = true
        let third = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await third.start()
        await third.stop(grace: .zero)
        await first.stop(grace: .zero)
    }

    @Test func ipv6AndDualStackAreServed() async throws {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "[::]:0"), try ListenAddress(parsing: "[::1]:0")]
        configuration.isOpen = true
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await server.start()
        let ports = server.boundAddresses.map(\.port)
        try await onThread {
            for (port, host) in [(ports[0], "127.0.0.1"), (ports[0], "::1"), (ports[1], "::1")] {
                let socket = try TestSocket(connectingTo: port, host: host)
                defer { socket.close() }
                try socket.send(Greeting(methods: [.noAuthentication]))
                #expect(try socket.receive(2) == [5, 0])
            }
        }
        await server.stop(grace: .zero)
    }

    @Test(arguments: ["0.0.0.0:0", "[::]:0", "192.0.2.1:1080"])
    func anAddressOthersReachNeedsUsersOrAWord(_ text: String) throws {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: text)]
        let error = #expect(throws: ProxyServerError.self) { try ProxyServer(configuration: configuration) }
        #expect(error?.code == .openToNetwork)
        configuration.isOpen = true
        _ = try ProxyServer(configuration: configuration, logger: suiteLogger)
        configuration.isOpen = false
        configuration.users = [ProxyUser(name: "a", password: "b")]
        _ = try ProxyServer(configuration: configuration, logger: suiteLogger)
    }

    @Test(arguments: [
        "", ":", "1080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:1080",
        "[127.0.0.1]:1",
        "localhost:1080", "[::1]", "127.0.0.1:1080 ", "127.0.0.1:٣",
    ]) func invalidListenAddressesAreRefused(_ text: String) {
        let error = #expect(throws: ConfigurationError.self) { try ListenAddress(parsing: text) }
        #expect(error?.description.contains("expected ADDRESS:PORT") == true)
    }

    @Test func impossibleConfigurationsAreRefused() {
        let changes: [(inout Configuration) -> Void] = [
            { $0.listen = [] }, { $0.workers = 0 }, { $0.maxConnections = 0 }, { $0.bufferMemory = -1 },
            { $0.timeouts.idle = .zero }, { $0.timeouts.drain = .seconds(-1) },
            { $0.resolver.cachedNames = -1 }, { $0.resolver.lookupsPerSource = 0 },
            { $0.resolver.waitingPerSource = -1 }, { $0.resolver.waiting = -1 },
            { $0.resolver.hitLifetime = .seconds(-1) }, { $0.resolver.missLifetime = .seconds(-1) },
            { $0.egress.interface = "" }, { $0.egress.interface = "sixteen-bytes-xx" },
            { $0.egress.interface = "a b" },
            { $0.users = [ProxyUser(name: "", password: "x")] },
            { $0.users = [ProxyUser(name: "x", password: "")] },
            { $0.users = [ProxyUser(name: "x", password: String(repeating: "p", count: 256))] },
        ]
        expectInvalid(changes)
    }

    @Test func eventsAreCounted() async throws {
        let configure = { (configuration: inout Configuration) in
            configuration.users = [ProxyUser(name: "a", password: "b")]
            configuration.bind.isEnabled = false
        }
        try await withServerObject(configure) { server, port in
            let socket = try TestSocket(connectingTo: port)
            try socket.send(Greeting(methods: [.usernamePassword]))
            try socket.send(Credentials(username: "a", password: "c"))
            #expect(try socket.receiveToEnd() == [5, 2, 1, 1])
            socket.close()
            let other = try TestSocket(connectingTo: port)
            try other.send(Greeting(methods: [.usernamePassword]))
            try other.send(Credentials(username: "a", password: "b"))
            try other.send(SOCKSRequest(command: .bind, destination: .unspecified))
            _ = try other.receiveToEnd()
            other.close()
            try eventually("both have ended") { server.statistics.active == 0 }
            #expect(server.statistics[.accepted] == 2)
            #expect(server.statistics[.failedLogins] == 1)
            #expect(server.statistics.replies(.commandNotSupported) == 1)
        }
    }
}
