import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// UDP ASSOCIATE (RFC 1928 section 7): who may use an association, from where, and how it ends.
@Suite struct AssociationTests {
    // MARK: - Where

    @Test(arguments: [
        ("0.0.0.0:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.2"), ("[::]:0", "127.0.0.1"), ("[::]:0", "::1"),
    ])
    func theBoundAddressEqualsTheOneOfTheClientsConnection(_ listen: String, _ host: String) async throws {
        let address = try ListenAddress(parsing: listen)
        try await withServer({
            $0.listen = [address]
            $0.isOpen = true
            $0.destinationGuard.mode = .off
        }) { port in
            let connection = try TestSocket(connectingTo: port, host: host)
            let socket = try TestDatagramSocket(host: connection.localHost)
            let association = try TestAssociation(connection, socket, .unspecified)
            defer { association.close() }
            let bound = association.bound
            #expect(bound == (try Destination(numeric: host, port: Int(bound.port))))
            let target = try TestDatagramSocket()
            defer { target.close() }
            try association.expectEcho(of: [1, 2, 3], from: target)
        }
    }

    @Test func anAdvertisedAddressIsReportedToClientsOfItsFamily() async throws {
        let listen = try ["127.0.0.1:0", "[::1]:0"].map(ListenAddress.init(parsing:))
        let advertised = try #require(IPAddress("192.0.2.7"))
        try await withServerObject({
            $0.listen = listen
            $0.advertisedAddresses = [advertised]
        }) { server, _ in
            for (index, host) in ["127.0.0.1", "::1"].enumerated() {
                let connection = try TestSocket(connectingTo: server.boundAddresses[index].port, host: host)
                let socket = try TestDatagramSocket(host: host)
                defer { socket.close() }
                defer { connection.close() }
                let bound = try connection.request(.udpAssociate, .unspecified).boundAddress
                let told = index == 0 ? "192.0.2.7" : "::1"
                #expect(bound == (try Destination(numeric: told, port: Int(bound.port))))
                // The reported port is the real one.
                let target = try TestDatagramSocket(host: host)
                defer { target.close() }
                let header = DatagramHeader(destination: target.address).encoded
                try socket.send(header + [1], to: Destination(numeric: host, port: Int(bound.port)))
                #expect(try target.receive().bytes == [1])
            }
        }
    }

    @Test func portsComeFromTheRangeAndWhenAllAreTakenTheServerLivesOn() async throws {
        let range = try freePorts(3)
        try await withServer({ $0.udp.ports = PortRange(range.lowerBound...range.upperBound) }) { port in
            var associations = try (0..<3).map { _ in try TestAssociation(through: port) }
            #expect(Set(associations.map(\.bound.port)) == Set(range))
            let refused = try TestSocket(connectingTo: port)
            defer { refused.close() }
            #expect(try refused.request(.udpAssociate, .unspecified).reply == .generalFailure)
            associations.removeLast().close()
            try eventually("a port is free again") {
                guard let association = try? TestAssociation(through: port) else { return false }
                associations.append(association)
                return true
            }
            let target = try TestDatagramSocket()
            defer { target.close() }
            for association in associations {
                try association.expectEcho(of: [7], from: target)
                association.close()
            }
        }
    }

    // MARK: - Who

    @Test(arguments: [
        Destination.unspecified, Destination(host: .ipv6(.any), port: 0), Destination(name: "0", port: 0),
        Destination(host: .ipv4(IPv4Address(10, 1, 2, 3)), port: 5555), .loopback6(5555),
        Destination(name: "no-such-name.invalid", port: 0),
        // Announced ports that aren't the client's: one of a target, and one from before a NAT.
        Destination(name: "name.example", port: 443), Destination(host: .ipv4(.any), port: 5555),
        Destination(host: .ipv6(.any), port: 5555),
        Destination(host: .ipv4(IPv4Address(10, 1, 2, 3)), port: 0),
        .loopback(5555), Destination(host: .ipv6(IPv6Address(high: 0, low: 0xffff_7f00_0001)), port: 5555),
    ])
    func theFirstDatagramDeterminesTheClientsPort(_ expected: Destination) async throws {
        try await withServerObject { server, port in
            let association = try TestAssociation(through: port, expecting: expected)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            try association.expectEcho(of: [1], from: target)
            let other = try TestDatagramSocket()
            defer { other.close() }
            try other.send(DatagramHeader(destination: target.address).encoded + [2], to: association.bound)
            try eventually("it is dropped") { server.statistics.datagramsDropped(.foreign) == 1 }
            try association.expectEcho(of: [3], from: target)
            #expect(!other.hasDatagram)
        }
    }

    @Test func aDatagramThatMakesNoSenseDoesNotSettleThePort() async throws {
        try await withServerObject { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let (other, target) = (try TestDatagramSocket(), try TestDatagramSocket())
            defer { other.close(); target.close() }
            try other.send([0, 0, 0, 9], to: association.bound)
            try eventually("it is dropped") { server.statistics.datagramsDropped(.malformed) == 1 }
            try association.expectEcho(of: [3], from: target)
        }
    }

    /// As behind a NAT that has forgotten the client.
    @Test func aClientIsFollowedToAnotherPortAfterFiveSecondsOfSilence() async throws {
        try await withServerObject { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let (moved, target) = (try TestDatagramSocket(), try TestDatagramSocket())
            defer { moved.close(); target.close() }
            let start = monotonicMilliseconds()
            try association.expectEcho(of: [1], from: target)
            let datagram = DatagramHeader(destination: target.address).encoded + [2]
            try eventually("it is accepted") {
                try moved.send(datagram, to: association.bound)
                return target.hasDatagram
            }
            #expect(monotonicMilliseconds() - start >= 5000)
            try target.echo()
            #expect(try moved.receive().bytes == datagram)
            // The old port isn't the client's any more.
            let dropped = server.statistics.datagramsDropped(.foreign)
            try association.send([4], to: target.address)
            try eventually("it is dropped") { server.statistics.datagramsDropped(.foreign) == dropped + 1 }
            #expect(!association.socket.hasDatagram)
        }
    }

    @Test func aDatagramFromAnotherHostIsDroppedSilentlyAndTheAssociationStays() async throws {
        let address = try ListenAddress(parsing: "0.0.0.0:0")
        try await withServerObject({
            $0.listen = [address]
            $0.isOpen = true
            $0.destinationGuard.mode = .off
        }) { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            let forged = try TestDatagramSocket(host: "127.0.0.2")
            defer { forged.close() }
            for round in UInt64(1)...2 {
                // Before the client has sent anything, and afterwards.
                let datagram = DatagramHeader(destination: target.address).encoded + [2]
                try forged.send(datagram, to: association.bound)
                try eventually("it is dropped") { server.statistics.datagramsDropped(.foreign) == round }
                try association.expectEcho(of: [3], from: target)
            }
            #expect(!forged.hasDatagram && !target.hasDatagram)
        }
    }

    @Test func withoutALoginNothingIsBound() async throws {
        try await withServerObject({ $0.users = [ProxyUser(name: "a", password: "b")] }) {
            server,
            port in
            let connection = try TestSocket(connectingTo: port)
            defer { connection.close() }
            let request = SOCKSRequest(command: .udpAssociate, destination: .unspecified).encoded
            let wrong = Credentials(username: "a", password: "c").encoded
            try connection.send(Greeting(methods: [.usernamePassword]).encoded + wrong + request)
            #expect(try connection.receiveToEnd() == [5, 2, 1, 1])
            #expect(server.statistics[.associations] == 0)
        }
    }

    @Test func aServerWithoutUDPSaysSo() async throws {
        try await withServer({ $0.udp.isEnabled = false }) { port in
            let connection = try TestSocket(connectingTo: port)
            defer { connection.close() }
            #expect(try connection.request(.udpAssociate, .unspecified).reply == .commandNotSupported)
            try connection.waitForClose()
        }
    }

    // MARK: - How many

    @Test func aClientHasAQuotaOfAssociations() async throws {
        try await withServer({ $0.udp.associationsPerSource = 2 }) { port in
            let first = try TestAssociation(through: port)
            let second = try TestAssociation(through: port)
            defer { second.close() }
            let third = try TestSocket(connectingTo: port)
            defer { third.close() }
            #expect(try third.request(.udpAssociate, .unspecified).reply == .notAllowed)
            first.close()
            try eventually("there is a place again") {
                guard let association = try? TestAssociation(through: port) else { return false }
                association.close()
                return true
            }
        }
    }

    @Test func anAssociationTakesTwoPlacesOfTheConnectionLimit() async throws {
        try await withServerObject({ $0.maxConnections = 3 }) { server, port in
            let association = try TestAssociation(through: port)
            let connection = try TestSocket(connectingTo: port)
            defer { connection.close() }
            #expect(try connection.request(.udpAssociate, .unspecified).reply == .generalFailure)
            let refused = try TestSocket(connectingTo: port)
            defer { refused.close() }
            try refused.waitForClose()
            association.close()
            try eventually("both places are free") {
                let sockets = try (0..<2).map { _ in try TestSocket(connectingTo: port) }
                defer { for socket in sockets { socket.close() } }
                return sockets.allSatisfy { socket in
                    (try? socket.send(Greeting(methods: [.noAuthentication]))) != nil
                        && (try? socket.receive(2)) == [5, 0]
                }
            }
        }
    }

    // MARK: - The end

    @Test(arguments: [false, true]) func theEndOfTheConnectionEndsTheAssociation(_ resets: Bool) async throws
    {
        // A port that the system doesn't give to others meanwhile.
        let own = try freePorts(1).lowerBound
        try await withServerObject({ $0.udp.ports = PortRange(own) }) { server, port in
            let association = try TestAssociation(through: port)
            defer { association.socket.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            try association.expectEcho(of: [1], from: target)
            if resets { association.connection.reset() } else { association.connection.endSending() }
            defer { association.connection.close() }
            try eventually(within: 5, "the session is gone") { server.statistics.active == 0 }
            // The port is free at once.
            try TestDatagramSocket(port: Int(association.bound.port)).close()
            try eventually("the payload is counted") {
                server.statistics[.bytesClientToTarget] == 1 && server.statistics[.bytesTargetToClient] == 1
            }
        }
    }

    @Test func bytesOnTheConnectionAreIgnored() async throws {
        try await withServer { port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            for _ in 0..<20 {
                try association.connection.send([UInt8](repeating: 5, count: 100 << 10))
                try association.expectEcho(of: [1], from: target)
            }
        }
    }

    @Test func bytesAfterTheRequestAreIgnored() async throws {
        try await withServer { port in
            let connection = try TestSocket(connectingTo: port)
            let request = SOCKSRequest(command: .udpAssociate, destination: .unspecified).encoded
            let greeting = Greeting(methods: [.noAuthentication]).encoded
            try connection.send(greeting + request + [UInt8](repeating: 7, count: 100 << 10))
            defer { connection.close() }
            #expect(try connection.receive(2) == [5, 0])
            let bound = try connection.receive(SOCKSResponse.self).boundAddress
            let (client, target) = (try TestDatagramSocket(), try TestDatagramSocket())
            defer { for socket in [client, target] { socket.close() } }
            try client.send(DatagramHeader(destination: target.address).encoded + [1], to: bound)
            #expect(try target.receive().bytes == [1])
        }
    }

    @Test func anIdleAssociationEndsAndSoDoesItsConnection() async throws {
        try await withServerObject({ $0.udp.idle = .seconds(2) }) { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            // Datagrams keep it open beyond the limit.
            let start = monotonicMilliseconds()
            while monotonicMilliseconds() - start < 3000 {
                try association.expectEcho(of: [1], from: target)
                usleep(20_000)
            }
            try association.connection.waitForClose()
            try eventually("it is gone") { server.statistics.active == 0 }
            #expect(server.statistics[.timedOut] == 1)
        }
    }

    @Test func droppedDatagramsDoNotKeepAnAssociationAlive() async throws {
        try await withServer({ $0.udp.idle = .milliseconds(300) }) { port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let other = try TestDatagramSocket(host: "127.0.0.2")
            defer { other.close() }
            try eventually("it ends") {
                try other.send([0, 0, 0, 1, 127, 0, 0, 1, 0, 7], to: association.bound)
                var state = pollfd(fd: association.connection.descriptor, events: Int16(POLLIN), revents: 0)
                return poll(&state, 1, 0) == 1
            }
        }
    }

    @Test func stoppingTheServerEndsAssociations() async throws {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await server.start()
        let port = try #require(server.boundAddresses.first?.port)
        let association = try await onThread { try TestAssociation(through: port) }
        await server.stop(grace: .milliseconds(100))
        #expect(server.statistics.active == 0)
        try await onThread {
            try association.connection.waitForClose()
            association.close()
        }
    }
}
