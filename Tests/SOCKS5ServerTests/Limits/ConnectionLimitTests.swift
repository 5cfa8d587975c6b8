import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server

/// At the limit of connections a new client displaces the oldest unfinished handshake.
@Suite struct ConnectionLimitTests {
    /// Connections that never send a complete request: nothing, or a part of it.
    private static func silent(_ count: Int, _ port: Int) throws -> [TestSocket] {
        try (0..<count).map { index in
            let socket = try TestSocket(connectingTo: port)
            if index % 3 == 1 { try? socket.send([5]) }
            if index % 3 == 2 { try? socket.send([5, 1, 0, 5, 1]) }
            return socket
        }
    }

    @Test(arguments: [1, 2, 4]) func silentConnectionsDoNotKeepOthersOut(_ workers: Int) async throws {
        let log = RecordedLog()
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        configuration.workers = workers
        configuration.maxConnections = 16
        let server = try ProxyServer(configuration: configuration, logger: log.logger)
        try await server.start()
        let port = try #require(server.boundAddresses.first?.port)
        try await onThread {
            let listener = try TestListener()
            defer { listener.close() }
            // Sessions with a request: most of the places.
            let kept = try (0..<12).map { _ in
                (try TestSocket.tunnel(through: port, to: .loopback(listener.port)), try listener.accept())
            }
            let silent = try Self.silent(300, port)
            // Otherwise it would take one of the four remaining places, and give way to the next.
            try eventually("all have come") { server.statistics[.accepted] == 312 }
            for _ in 0..<30 {
                let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
                let target = try listener.accept()
                try client.send([7])
                #expect(try target.receive(1) == [7])
                client.close()
                target.close()
            }
            for (client, target) in kept {
                try target.send([8])
                #expect(try client.receive(1) == [8])
                client.close()
                target.close()
            }
            for socket in silent { socket.close() }
            #expect(server.statistics[.refusedAtLimit] == 0)
            #expect(server.statistics[.displacedHandshakes] >= 300 - 4)
            try eventually("all have ended") { server.statistics.active == 0 }
            // All places are free again, and no more.
            let again = try (0..<16).map { _ in
                try TestSocket.tunnel(through: port, to: .loopback(listener.port))
            }
            let refused = try TestSocket(connectingTo: port)
            try refused.waitForClose()
            for socket in again + [refused] { socket.close() }
        }
        await server.stop(grace: .zero)
        // One line per second and worker.
        let lines = log.count(of: "handshakes ended at the limit, for new connections")
        #expect((1...(10 * workers)).contains(lines))
    }

    /// Several workers may take the last places at once. A worker that gets none, and has no handshake of its own, must
    /// find the handshake of another one.
    @Test func noWorkerRefusesWhileAnotherHasAnUnfinishedHandshake() async throws {
        try await withServerObject({
            $0.workers = 4
            $0.maxConnections = 4
        }) { server, port in
            for round in 1...500 {
                let silent = try (0..<8).map { _ in try TestSocket(connectingTo: port) }
                try eventually("all have come in round \(round)") {
                    server.statistics[.accepted] + server.statistics[.refusedAtLimit] == 8 * round
                }
                for socket in silent { socket.close() }
                try eventually("all have ended in round \(round)") { server.statistics.active == 0 }
            }
            #expect(server.statistics[.refusedAtLimit] == 0)
        }
    }

    /// The end of a client and the next client may come in one turn of the loop.
    @Test(arguments: [[], [5], [5, 1, 0]] as [[UInt8]])
    func aClientThatHasLeftKeepsNobodyOut(_ sent: [UInt8]) async throws {
        try await withServerObject({
            $0.workers = 1
            $0.maxConnections = 1
        }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            for round in 1...100 {
                let leaving = try TestSocket(connectingTo: port)
                try leaving.send(sent)
                try eventually("it has come in round \(round)") {
                    server.statistics[.accepted] == 2 * round - 1
                }
                leaving.close()
                let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
                client.close()
                try listener.accept().close()
                try eventually("all have ended in round \(round)") { server.statistics.active == 0 }
            }
            #expect(server.statistics[.refusedAtLimit] == 0)
        }
    }

    @Test func theOldestGivesWay() async throws {
        try await withServerObject({
            $0.workers = 1
            $0.maxConnections = 4
        }) { server, port in
            func greeted() throws -> TestSocket {
                let socket = try TestSocket(connectingTo: port)
                try socket.send(Greeting(methods: [.noAuthentication]))
                #expect(try socket.receive(2) == [5, 0])
                return socket
            }
            let sockets = try (0..<4).map { _ in try greeted() }
            var later: [TestSocket] = []
            defer { for socket in sockets + later { socket.close() } }
            for (index, oldest) in sockets[..<3].enumerated() {
                later.append(try greeted())
                try oldest.expectReset()
                #expect(server.statistics[.displacedHandshakes] == index + 1)
            }
            // The later connections continue.
            for socket in [sockets[3]] + later {
                try socket.send(SOCKSRequest(command: .connect, destination: .loopback(9)))
                #expect(try socket.receive(SOCKSResponse.self).reply == .connectionRefused)
            }
            #expect(server.statistics[.displacedHandshakes] == 3)
        }
    }

    /// Failed logins that wait for their answer have no request either, so they are displaced too.
    @Test func loginsThatAreAnsweredLateGiveWayToo() async throws {
        try await withServerObject({
            $0.workers = 1
            $0.maxConnections = 4
            $0.users = users("alice")
        }) { server, port in
            func fail() throws -> TestSocket {
                let socket = try TestSocket(connectingTo: port)
                try socket.send(Greeting(methods: [.usernamePassword]))
                try socket.send(Credentials(username: "alice", password: "wrong"))
                #expect(try socket.receive(2) == [5, 2])
                return socket
            }
            for _ in 0..<10 { try fail().close() }
            try eventually("they have left") { server.statistics.active == 0 }
            let late = try (0..<4).map { _ in try fail() }
            defer { for socket in late { socket.close() } }
            try eventually("they have failed") { server.statistics[.failedLogins] == 14 }
            let (socket, reply) = try login(port, as: "alice", to: 9)
            defer { socket.close() }
            #expect(reply == .connectionRefused)
            #expect(server.statistics[.displacedHandshakes] == 1)
            try late[0].expectReset()
        }
    }

    @Test func theWorkerWithTheMostHandshakesIsKnown() {
        let crew = Crew(workers: 3)
        #expect(crew.memberWithHandshakes == nil)
        crew.members[2].counters.handshakeDidBegin()
        #expect(crew.memberWithHandshakes === crew.members[2])
        for _ in 0..<2 { crew.members[0].counters.handshakeDidBegin() }
        #expect(crew.memberWithHandshakes === crew.members[0])
        for _ in 0..<2 { crew.members[0].counters.handshakeDidEnd() }
        crew.members[2].counters.handshakeDidEnd()
        #expect(crew.memberWithHandshakes == nil)
    }
}
