import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// PROTOCOL: the BIND command (RFC 1928 sections 4 and 6).
@Suite struct BindTests {
    private static let anyone = Destination.unspecified
    private static let here = Destination.loopback(0)

    /// Requests a BIND; returns the client's socket, and the port of the first reply.
    private static func bind(
        through proxy: Int,
        for destination: Destination = here
    ) throws -> (client: TestSocket, bound: Destination) {
        let client = try TestSocket(connectingTo: proxy)
        let response = try client.request(.bind, destination)
        guard response.reply == .succeeded else {
            client.close()
            throw TestFailure("reply \(response.reply)")
        }
        return (client, response.boundAddress)
    }

    @Test func twoRepliesThenBytesBothWays() async throws {
        try await withServer { port in
            let (client, bound) = try Self.bind(through: port)
            defer { client.close() }
            #expect(bound.host == Self.here.host && bound.port != 0)
            let peer = try TestSocket(connectingTo: Int(bound.port))
            defer { peer.close() }
            let second = try client.receive(SOCKSResponse.self)
            #expect(second.reply == .succeeded)
            #expect(second.boundAddress == .loopback(peer.localPort))
            try peer.send(Array("from the peer".utf8))
            #expect(try client.receive(13) == Array("from the peer".utf8))
            try client.send(Array("to it".utf8))
            client.endSending()
            #expect(try peer.receiveToEnd() == Array("to it".utf8))
        }
    }

    @Test func anIPv6PeerIsAwaitedOnIPv6() async throws {
        try await withServer { port in
            let (client, bound) = try Self.bind(through: port, for: .loopback6(0))
            defer { client.close() }
            #expect(bound.host == Destination.loopback6(0).host)
            let peer = try TestSocket(connectingTo: Int(bound.port), host: "::1")
            defer { peer.close() }
            #expect(try client.receive(SOCKSResponse.self).boundAddress == .loopback6(peer.localPort))
        }
    }

    @Test func anotherHostThanTheAwaitedOneIsNeverRelayed() async throws {
        try await withServer { port in
            let (client, bound) = try Self.bind(through: port)
            defer { client.close() }
            let stranger = try TestSocket(connectingTo: Int(bound.port), from: "127.0.0.2")
            defer { stranger.close() }
            try stranger.waitForClose()
            let peer = try TestSocket(connectingTo: Int(bound.port))
            defer { peer.close() }
            #expect(try client.receive(SOCKSResponse.self).boundAddress == .loopback(peer.localPort))
        }
    }

    @Test func thePeerOfANameIsAnyOfItsAddresses() async throws {
        try await withServer { port in
            let (client, bound) = try Self.bind(through: port, for: Destination(name: "localhost", port: 0))
            defer { client.close() }
            let host = bound.host == Self.here.host ? "127.0.0.1" : "::1"
            if host == "127.0.0.1" {
                let stranger = try TestSocket(connectingTo: Int(bound.port), from: "127.0.0.2")
                defer { stranger.close() }
                try stranger.waitForClose()
            }
            let peer = try TestSocket(connectingTo: Int(bound.port), host: host)
            defer { peer.close() }
            #expect(try client.receive(SOCKSResponse.self).reply == .succeeded)
        }
    }

    @Test func aNameThatIsNotFoundIsAnUnreachableHost() async throws {
        try await withServer { port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            let nowhere = Destination(name: "no-such-name.invalid", port: 0)
            #expect(try client.request(.bind, nowhere).reply == .hostUnreachable)
        }
    }

    @Test func theListenerIsOnTheEgressAddress() async throws {
        let egress = try IPNetwork(parsing: "127.0.0.3")
        try await withServer({ $0.egress.addresses = [egress] }) { port in
            let (client, bound) = try Self.bind(through: port)
            defer { client.close() }
            #expect(bound.description == "127.0.0.3:\(bound.port)")
        }
    }

    @Test func withoutADestinationAnyoneMayConnectButOnlyOne() async throws {
        try await withServer { port in
            let (client, bound) = try Self.bind(through: port, for: Self.anyone)
            defer { client.close() }
            #expect(bound.host == Self.here.host)
            let peer = try TestSocket(connectingTo: Int(bound.port), from: "127.0.0.2")
            defer { peer.close() }
            let second = try client.receive(SOCKSResponse.self)
            #expect(second.boundAddress.description == "127.0.0.2:\(peer.localPort)")
            try expectListenerGone(bound)
        }
    }

    @Test func earlyBytesOfTheClientReachThePeer() async throws {
        try await withServer { port in
            let (client, bound) = try Self.bind(through: port)
            defer { client.close() }
            try client.send(Array("early".utf8))
            let peer = try TestSocket(connectingTo: Int(bound.port))
            defer { peer.close() }
            #expect(try peer.receive(5) == Array("early".utf8))
            #expect(try client.receive(SOCKSResponse.self).reply == .succeeded)
            // An end before the peer has connected would end the BIND.
            client.endSending()
            #expect(try peer.receiveToEnd().isEmpty)
        }
    }

    @Test func withoutAConnectionInTimeTheSecondReplyIsTTLExpired() async throws {
        try await withServer({ $0.bind.timeout = .milliseconds(200) }) { port in
            let (client, bound) = try Self.bind(through: port)
            defer { client.close() }
            #expect(try client.receiveToEnd() == SOCKSResponse.failure(.ttlExpired).encoded)
            try expectListenerGone(bound)
        }
    }

    @Test(arguments: [true, false]) func aClientThatLeavesEndsTheListener(_ resets: Bool) async throws {
        try await withServerObject { server, port in
            let (client, bound) = try Self.bind(through: port)
            if resets { client.reset() } else { client.close() }
            try eventually("the session is gone") { server.statistics.active == 0 }
            try expectListenerGone(bound)
        }
    }

    @Test func switchedOffItIsNotSupported() async throws {
        try await withServer({ $0.bind.isEnabled = false }) { port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            #expect(try client.request(.bind, Self.here).reply == .commandNotSupported)
        }
    }

    @Test func anUnreachableFamilyIsAnswered() async throws {
        try await withServer { port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            // The documentation's addresses (RFC 3849) aren't routed on a machine without IPv6; elsewhere a listening
            // BIND does no harm.
            let documentation = IPv6Address(high: 0x2001_0db8_0000_0000, low: 1)
            let reply = try client.request(.bind, Destination(host: .ipv6(documentation), port: 1)).reply
            #expect([.networkUnreachable, .succeeded].contains(reply))
        }
    }

    @Test func portsAreTakenFromTheRangeAndComeBack() async throws {
        let free = UInt16(TestListener.unusedPort())
        try await withServerObject({ $0.bind.ports = PortRange(free) }) { server, port in
            let (first, bound) = try Self.bind(through: port)
            #expect(bound.port == free)
            let second = try TestSocket(connectingTo: port)
            defer { second.close() }
            #expect(try second.request(.bind, Self.here).reply == .generalFailure)
            first.close()
            try eventually("its session is gone") { server.statistics.active == 1 }
            let (third, again) = try Self.bind(through: port)
            defer { third.close() }
            #expect(again.port == free)
        }
    }

    @Test func theAdvertisedAddressOfTheFamilyIsAnswered() async throws {
        let addresses = try ["192.0.2.7", "2001:db8::7"].map { try #require(IPAddress($0)) }
        try await withServer({ $0.advertisedAddresses = addresses }) { port in
            for (destination, host, expected) in [
                (Self.here, "127.0.0.1", "192.0.2.7"), (.loopback6(0), "::1", "[2001:db8::7]"),
            ] {
                let (client, bound) = try Self.bind(through: port, for: destination)
                defer { client.close() }
                #expect(bound.description == "\(expected):\(bound.port)")
                let peer = try TestSocket(connectingTo: Int(bound.port), host: host)
                defer { peer.close() }
                #expect(try client.receive(SOCKSResponse.self).reply == .succeeded)
            }
        }
    }

    @Test(arguments: [
        "", "localhost", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1", "192.0.2.1:80",
    ])
    func unreachableAddressesAreNotAdvertised(_ text: String) {
        guard let address = IPAddress(text) else { return }
        expectInvalid([{ $0.advertisedAddresses = [address] }]) { $0.contains(text) }
    }

    @Test func aFamilyHasOneAdvertisedAddress() throws {
        var configuration = Configuration()
        configuration.advertisedAddresses = try ["192.0.2.7", "192.0.2.8"].map {
            try #require(IPAddress($0))
        }
        let error = #expect(throws: ProxyServerError.self) { try ProxyServer(configuration: configuration) }
        #expect(error?.description.contains("one IPv4, one IPv6") == true)
    }

    @Test(arguments: ["", "-", "0-1", "2-1", "1-", "-1", "1-65536", "1-2-3", "a-b", "+1-2", "1 - 2"])
    func invalidPortRangesAreRefused(_ text: String) {
        #expect(throws: ConfigurationError.self) { try PortRange(parsing: text) }
    }
}

/// A child that another test starts holds a copy of every descriptor until its exec, so this may take a moment.
private func expectListenerGone(_ bound: Destination) throws {
    try eventually("nobody listens on \(bound)") {
        guard let socket = try? TestSocket(connectingTo: Int(bound.port)) else { return true }
        socket.close()
        return false
    }
}
