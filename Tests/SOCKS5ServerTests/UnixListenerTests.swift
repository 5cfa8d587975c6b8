import Glibc
import Locks
import ProxyPolicy
import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

@testable import SOCKS5Server

/// Clients that connect over a unix socket.
@Suite struct UnixListenerTests {
    private static func withUnixServer(
        _ configure: (inout Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (_ server: ProxyServer, _ path: String) throws -> Void
    ) async throws {
        let folder = try temporaryFolder()
        defer { try? removeFolder(folder) }
        let path = "\(folder)/proxy.sock"
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(unix: path)]
        configuration.workers = 2
        configure(&configuration)
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await server.start()
        do {
            try await onThread { try body(server, path) }
        } catch {
            await server.stop(grace: .zero)
            throw error
        }
        await server.stop(grace: .zero)
        #expect(mode(of: path) == nil, "the file goes with the server")
        #expect(server.statistics.active == 0)
        expectAgreement(of: server)
    }

    private static func temporaryFolder() throws -> String {
        var path = Array("/tmp/socks5d-test-XXXXXX".utf8CString)
        guard mkdtemp(&path) != nil else { throw TestFailure("mkdtemp") }
        return String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func removeFolder(_ path: String) throws {
        for name in try namesIn(path) { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    private static func mode(of path: String) -> UInt32? {
        var facts = stat()
        return lstat(path, &facts) == 0 ? facts.st_mode & 0o7777 : nil
    }

    private static func expectEcho(through client: TestSocket, _ target: TestSocket) throws {
        try client.send([1, 2, 3])
        #expect(try target.receive(3) == [1, 2, 3])
        try target.send([4])
        target.endSending()
        #expect(try client.receiveToEnd() == [4])
    }

    /// It couldn't send datagrams to the server's end of the socket, which has no address, whatever its own address is.
    @Test func aClientNamedAtAUnixSocketGetsNoAssociation() async throws {
        try await Self.withUnixServer({
            $0.listeners[0].proxyProtocol = [IPNetwork(.ipv4(.loopback), length: 32)]
            $0.isOpen = true
        }) { _, path in
            for command in [SOCKSCommand.udpAssociate, .bind] {
                let client = try TestSocket(connectingToUnix: path)
                defer { client.close() }
                try client.send(Array("PROXY TCP4 127.0.0.7 127.0.0.1 4711 1080\r\n".utf8))
                #expect(try client.request(command, .unspecified).reply == .commandNotSupported)
            }
        }
    }

    @Test func clientsOfAUnixSocketAreServedAndKnownByTheirUser() async throws {
        try await Self.withUnixServer { server, path in
            #expect(server.boundAddresses.map(\.description) == ["unix:\(path)"])
            #expect(Self.mode(of: path) == 0o660)
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket(connectingToUnix: path)
            defer { client.close() }
            #expect(try client.request(.connect, .loopback(listener.port)).reply == .succeeded)
            let target = try listener.accept()
            defer { target.close() }
            try Self.expectEcho(through: client, target)
            client.close()
            try eventually("the session has ended") { server.statistics.active == 0 }
        }
    }

    @Test func sessionsOfAUnixSocketNameTheUserAndTheListener() async throws {
        let sessions = RecordedSessions()
        try await Self.withUnixServer({ $0.observer = sessions }) { _, path in
            let client = try TestSocket(connectingToUnix: path)
            #expect(try client.request(.connect, .loopback(9)).reply != .succeeded)
            client.close()
            let session = try sessions.next(after: 0)
            #expect(session.client == .local(uid: getuid()))
            #expect(session.listener == "unix:\(path)")
        }
    }

    @Test func theModeOfTheFileIsTheListeners() async throws {
        try await Self.withUnixServer({ $0.listeners[0].mode = 0o600 }) { _, path in
            #expect(Self.mode(of: path) == 0o600)
        }
    }

    @Test func bulkGoesThroughAUnixSocketWhole() async throws {
        for splicing in Splicing.allCases {
            try await Self.withUnixServer({ $0.splicing = splicing }) { _, path in
                let listener = try TestListener()
                defer { listener.close() }
                let client = try TestSocket(connectingToUnix: path)
                defer { client.close() }
                #expect(try client.request(.connect, .loopback(listener.port)).reply == .succeeded)
                let target = try listener.accept()
                defer { target.close() }
                // As much as the sockets on the way hold, so that nobody has to read meanwhile.
                let payload = (0..<(128 << 10)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
                for (source, sink) in [(client, target), (target, client)] {
                    try source.send(payload)
                    let received = try sink.receive(payload.count)
                    #expect(received == payload)
                }
            }
        }
    }

    @Test func aClientWithoutAnAddressGetsNoAssociation() async throws {
        try await Self.withUnixServer { _, path in
            let client = try TestSocket(connectingToUnix: path)
            defer { client.close() }
            #expect(try client.request(.udpAssociate, .unspecified).reply == .commandNotSupported)
        }
    }

    /// On the way to a peer that it names, there is an address to listen on.
    @Test func aClientWithoutAnAddressBindsForAPeerThatItNames() async throws {
        try await Self.withUnixServer { _, path in
            let anyone = try TestSocket(connectingToUnix: path)
            defer { anyone.close() }
            #expect(try anyone.request(.bind, .unspecified).reply == .commandNotSupported)
            let client = try TestSocket(connectingToUnix: path)
            defer { client.close() }
            let first = try client.request(.bind, .loopback(0))
            #expect(first.reply == .succeeded)
            let peer = try TestSocket(connectingTo: Int(first.boundAddress.port))
            defer { peer.close() }
            #expect(try client.receive(SOCKSResponse.self).boundAddress == .loopback(peer.localPort))
        }
    }

    @Test func rulesAboutClientsDontMatchAUnixSocket() async throws {
        let everyone = [try IPNetwork(parsing: "0.0.0.0/0"), try IPNetwork(parsing: "::/0")]
        try await Self.withUnixServer({ $0.rules = [Rule(.deny, clients: everyone)] }) { _, path in
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket(connectingToUnix: path)
            defer { client.close() }
            #expect(try client.request(.connect, .loopback(listener.port)).reply == .succeeded)
        }
    }

    @Test func limitsOfASourceCountAllProcessesAsOne() async throws {
        try await Self.withUnixServer({ $0.limits.connectionsPerSource = 1 }) { server, path in
            let first = try TestSocket(connectingToUnix: path)
            defer { first.close() }
            try eventually("it is served") { server.statistics.active == 1 }
            let second = try TestSocket(connectingToUnix: path)
            defer { second.close() }
            try second.waitForClose()
        }
    }

    @Test func allWorkersAcceptFromAUnixSocket() async throws {
        try await Self.withUnixServer({ $0.workers = 4 }) { server, path in
            let clients = try (0..<40).map { _ in try TestSocket(connectingToUnix: path) }
            defer { for client in clients { client.close() } }
            try eventually("all are served") { server.statistics.active == 40 }
            #expect(server.statisticsOfWorkers.allSatisfy { $0.active >= 5 })
        }
    }

    @Test func aFileThatADeadProcessHasLeftIsReplaced() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? Self.removeFolder(folder) }
        let path = "\(folder)/proxy.sock"
        try TestSocket(listeningOnUnix: path).close()
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(unix: path)]
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await server.start()
        try TestSocket(connectingToUnix: path).close()
        await server.stop(grace: .zero)
        #expect(Self.mode(of: path) == nil)
    }

    /// A socket that is bound but doesn't listen yet looks like one that a dead process has left.
    @Test func aStarterWaitsUntilAnotherOneListens() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? Self.removeFolder(folder) }
        let path = "\(folder)/proxy.sock"
        try TestSocket(listeningOnUnix: path).close()
        let lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        #expect(flock(lock, LOCK_EX) == 0)
        try await onThread {
            let result = Guarded<UVError?>(nil)
            let starter = TestThread {
                do throws(UVError) {
                    try UnixSocketFile.listen(at: path, mode: 0o600).socket.close()
                } catch {
                    result.withLock { $0 = error }
                }
            }
            unlink(path)
            let living = try TestSocket(listeningOnUnix: path)
            defer { living.close() }
            close(lock)
            try starter.join()
            #expect(result.withLock { $0 } == .addressInUse)
            try TestSocket(connectingToUnix: path).close()
        }
    }

    @Test func oneOfManyStartersReplacesADeadSocket() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? Self.removeFolder(folder) }
        let path = "\(folder)/proxy.sock"
        for _ in 0..<20 {
            try TestSocket(listeningOnUnix: path).close()
            let opened = await withTaskGroup { group in
                for _ in 0..<4 {
                    group.addTask { try? await onThread { try UnixSocketFile.listen(at: path, mode: 0o600) } }
                }
                return await group.compactMap(\.self).reduce(into: []) { $0.append($1) }
            }
            #expect(opened.count == 1)
            #expect(throws: Never.self) { try TestSocket(connectingToUnix: path).close() }
            for (file, socket) in opened {
                file.remove()
                socket.close()
            }
            #expect(Self.mode(of: path) == nil)
        }
    }

    @Test func aFolderThatStaysLockedIsNamed() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? Self.removeFolder(folder) }
        let lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { close(lock) }
        #expect(flock(lock, LOCK_EX) == 0)
        let path = "\(folder)/proxy.sock"
        let error = await #expect(throws: UVError.self) {
            try await onThread { _ = try UnixSocketFile.listen(at: path, mode: 0o600) }
        }
        #expect(error == .timedOut && Self.mode(of: path) == nil)
    }

    @Test func aPathThatCantBeListenedOnIsNamed() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? Self.removeFolder(folder) }
        let living = try TestSocket(listeningOnUnix: "\(folder)/living")
        defer { living.close() }
        try writeFile("\(folder)/file", [1])
        let cases: [(path: String, code: ProxyServerError.Code, part: String)] = [
            ("\(folder)/living", .addressInUse, "another process does"),
            ("\(folder)/file", .addressInUse, "something else than a socket"),
            (folder, .addressInUse, "something else than a socket"),
            ("\(folder)/nowhere/a.sock", .addressNotAvailable, "its folder doesn't exist"),
        ]
        for (path, code, part) in cases {
            var configuration = Configuration()
            // The first one is closed again, and its file is removed.
            configuration.listen = [
                try ListenAddress(unix: "\(folder)/fine"), try ListenAddress(unix: path),
            ]
            let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
            let error = await #expect(throws: ProxyServerError.self) { try await server.start() }
            #expect(error?.code == code && error?.description.contains(part) == true, "\(path)")
            #expect(error?.description.contains(path) == true)
            #expect(Self.mode(of: "\(folder)/fine") == nil)
        }
        #expect(try readBytes("\(folder)/file") == [1])
        #expect(Self.mode(of: "\(folder)/living") != nil)
    }

    /// Connections that wait to be accepted are served, and no later ones.
    @Test func aStopServesAllConnectedClients() async throws {
        let folder = try Self.temporaryFolder()
        defer { try? Self.removeFolder(folder) }
        let path = "\(folder)/proxy.sock"
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(unix: path)]
        configuration.workers = 1
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await server.start()
        let clients = try await onThread { try (0..<50).map { _ in try TestSocket(connectingToUnix: path) } }
        async let stopped: Void = server.stop(grace: .seconds(5))
        try await onThread {
            for client in clients {
                try client.send(Greeting(methods: [.noAuthentication]))
                #expect(try client.receive(MethodSelection.self).method == .noAuthentication)
                client.close()
            }
        }
        await stopped
        #expect(Self.mode(of: path) == nil)
    }

    @Test func textsThatAreNotListenAddressesAreRefused() throws {
        let long = String(repeating: "x", count: 108)
        for text in [
            "unix:", "unix:/tmp/\(long)", "unix:/tmp/a\0b", "unix:/tmp/a\nb", "systemd:", "systemd:a:b",
            "systemd:a b",
            "systemd:\(long)\(long)\(long)", "unix", "systemd", "UNIX:/tmp/a", "/tmp/a.sock",
        ] {
            let error = #expect(throws: ConfigurationError.self, "\(text)") {
                try ListenAddress(parsing: text)
            }
            #expect(error?.description.contains("; expected ") == true)
        }
        for text in ["unix:/run/a.sock", "unix:a", "systemd:proxy", "systemd:socks5d.socket"] {
            #expect(try ListenAddress(parsing: text).description == text)
        }
    }

    @Test func placesOverlapOnlyWithPlacesOfTheirKind() throws {
        let all = try ["127.0.0.1:1080", "unix:/a", "unix:/b", "systemd:a", "systemd:b"].map {
            try ListenAddress(parsing: $0)
        }
        for one in all { for other in all { #expect(one.overlaps(other) == (one == other)) } }
    }

    @Test func aUnixSocketIsNotOpenToStrangers() throws {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(unix: "/tmp/a.sock")]
        _ = try ProxyServer(configuration: configuration)
        #expect(!configuration.guardsDestinations)
        configuration.listeners[0].mode = 0o10000
        #expect(throws: ProxyServerError.self) { try ProxyServer(configuration: configuration) }
    }
}
