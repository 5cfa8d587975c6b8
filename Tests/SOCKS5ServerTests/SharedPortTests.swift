import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server

/// One UDP port for all associations, whichever worker has accepted their clients.
@Suite struct SharedPortTests {
    private static func withOnePort(
        workers: Int,
        _ configure: (inout Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (ProxyServer, Int) throws -> Void
    ) async throws {
        let own = try freePorts(1).lowerBound
        try await withServerObject(
            {
                $0.workers = workers
                $0.udp.ports = PortRange(own)
                configure(&$0)
            },
            body
        )
    }

    /// An association whose client has this address, and whose port the server knows.
    private static func associate(_ port: Int, from host: String, _ target: TestDatagramSocket) throws
        -> TestAssociation
    {
        let association = try TestAssociation(
            TestSocket(connectingTo: port, from: host),
            TestDatagramSocket(host: host),
            .unspecified
        )
        try association.expectEcho(of: [0], from: target)
        return association
    }

    @Test(arguments: [1, 2, 4]) func allAssociationsShareOnePort(_ workers: Int) async throws {
        try await Self.withOnePort(workers: workers) { server, port in
            let target = try TestDatagramSocket()
            defer { target.close() }
            let associations = try (0..<12).map {
                try Self.associate(port, from: "127.0.0.\(1 + $0 % 3)", target)
            }
            #expect(Set(associations.map(\.bound)).count == 1)
            #expect(server.statistics.active == 12 && server.statistics[.accepted] == 12)
            // All at once, so that answers could go to the wrong client.
            for round in UInt8(1)...5 {
                for (index, association) in associations.enumerated() {
                    try association.send([round, UInt8(index)], to: target.address)
                }
                for _ in associations { try target.echo() }
                for (index, association) in associations.enumerated() {
                    #expect(try association.receive().payload == [round, UInt8(index)])
                }
            }
            // The others stay when one leaves.
            associations[0].close()
            try eventually("it has left") { server.statistics.active == 11 }
            for association in associations.dropFirst() { try association.expectEcho(of: [9], from: target) }
            for association in associations.dropFirst() { association.close() }
            try eventually("all have left") { server.statistics.active == 0 }
            try TestDatagramSocket(port: Int(associations[0].bound.port)).close()
            // And the port is opened again.
            try Self.associate(port, from: "127.0.0.1", target).close()
            #expect(server.statistics.datagramsDropped(.foreign) == 0)
        }
    }

    @Test func ofOneClientTheOldestAssociationTakesTheFirstDatagram() async throws {
        try await Self.withOnePort(workers: 2) { server, port in
            let target = try TestDatagramSocket()
            defer { target.close() }
            // Their requests are in order, and so are the first datagrams.
            let associations = try (0..<3).map { _ in try TestAssociation(through: port) }
            defer { for association in associations { association.close() } }
            var sources: Set<Destination> = []
            for (index, association) in associations.enumerated() {
                try association.send([UInt8(index)], to: target.address)
                let (bytes, source) = try target.receive()
                #expect(bytes == [UInt8(index)])
                sources.insert(source)
            }
            // Each has separate sockets towards the targets.
            #expect(sources.count == 3)
            let more = try TestDatagramSocket()
            defer { more.close() }
            let header = DatagramHeader(destination: target.address).encoded
            try more.send(header + [7], to: associations[0].bound)
            try eventually("no association is left for it") {
                server.statistics.datagramsDropped(.foreign) == 1
            }
        }
    }

    @Test func otherHostsAndDatagramsWithoutSenseAreDropped() async throws {
        try await Self.withOnePort(workers: 2) { server, port in
            let target = try TestDatagramSocket()
            let (foreign, other) = (try TestDatagramSocket(host: "127.0.0.2"), try TestDatagramSocket())
            defer { for socket in [target, foreign, other] { socket.close() } }
            let association = try TestAssociation(through: port)
            defer { association.close() }
            try foreign.send(
                DatagramHeader(destination: target.address).encoded + [2],
                to: association.bound
            )
            try other.send([0, 0, 0, 9], to: association.bound)
            try eventually("they are dropped") {
                server.statistics.datagramsDropped(.foreign) == 1
                    && server.statistics.datagramsDropped(.malformed) == 1
            }
            try association.expectEcho(of: [3], from: target)
        }
    }

    /// As for a session that stays on its worker.
    @Test func limitsAndTheLogKnowOneSession() async throws {
        let log = RecordedLog()
        let own = try freePorts(1).lowerBound
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        configuration.workers = 4
        configuration.maxConnections = 8
        configuration.udp.ports = PortRange(own)
        configuration.limits.connectionsPerSource = 4
        let server = try ProxyServer(configuration: configuration, logger: log.logger)
        try await server.start()
        let port = try #require(server.boundAddresses.first?.port)
        try await onThread {
            let target = try TestDatagramSocket()
            defer { target.close() }
            for round in 1...10 {
                let associations = try (0..<4).map { _ in
                    try Self.associate(port, from: "127.0.0.1", target)
                }
                let refused = try TestSocket(connectingTo: port)
                try refused.waitForClose()
                refused.close()
                for association in associations { association.close() }
                try eventually("their places are free") {
                    server.statistics.active == 0 && log.count(of: "session ended") == 4 * round
                }
            }
            #expect(server.statistics[.accepted] == 40 && server.statistics[.associations] == 40)
        }
        await server.stop(grace: .zero)
    }

    @Test func aClientThatHasEndedAlreadyEndsItsAssociation() async throws {
        try await Self.withOnePort(workers: 2) { server, port in
            for _ in 0..<10 {
                let connection = try TestSocket(connectingTo: port)
                defer { connection.close() }
                let request = SOCKSRequest(command: .udpAssociate, destination: .unspecified).encoded
                try connection.send(Greeting(methods: [.noAuthentication]).encoded + request + [1, 2, 3])
                connection.endSending()
                _ = try connection.receiveToEnd()
            }
            try eventually("all have ended") { server.statistics.active == 0 }
        }
    }

    @Test func stoppingEndsAssociationsThatWereHandedOver() async throws {
        let own = try freePorts(1).lowerBound
        for workers in [2, 4] {
            var configuration = Configuration()
            configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
            configuration.workers = workers
            configuration.udp.ports = PortRange(own)
            let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
            try await server.start()
            let port = try #require(server.boundAddresses.first?.port)
            let associations = try await onThread {
                try (0..<8).map { _ in try TestAssociation(through: port) }
            }
            await server.stop(grace: .milliseconds(50))
            #expect(server.statistics.active == 0)
            try await onThread {
                for association in associations {
                    try association.connection.waitForClose()
                    association.close()
                }
            }
        }
    }
}
