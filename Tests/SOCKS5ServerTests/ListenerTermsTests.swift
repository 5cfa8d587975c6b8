import ProxyPolicy
import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

@testable import SOCKS5Server

/// The limits and the egress of a listener's clients.
@Suite struct ListenerTermsTests {
    private static let own = "127.0.0.2"

    /// The second listener has settings of its own.
    private static func withTwoListeners(
        _ configure: (inout Configuration) throws -> Void,
        _ body: @escaping @Sendable (_ server: ProxyServer, _ common: Int, _ own: Int) throws -> Void
    ) async throws {
        try await withServerObject({
            $0.listen = try ["127.0.0.1:0", "\(own):0"].map { try ListenAddress(parsing: $0) }
            try configure(&$0)
        }) { server, port in
            try body(server, port, server.boundAddresses[1].port)
        }
    }

    /// The source address that the target of a new connection sees.
    private static func source(_ port: Int, host: String, as user: String? = nil) throws -> String? {
        let target = try TestListener()
        defer { target.close() }
        let socket = try TestSocket(connectingTo: port, host: host)
        defer { socket.close() }
        if let user {
            try socket.send(Greeting(methods: [.usernamePassword]))
            try socket.send(Credentials(username: user, password: "secret"))
            guard try socket.receive(4) == [5, 2, 1, 0] else { throw TestFailure("the login of \(user)") }
            try socket.send(SOCKSRequest(command: .connect, destination: .loopback(target.port)))
            _ = try socket.receive(SOCKSResponse.self)
        } else {
            _ = try socket.request(.connect, .loopback(target.port))
        }
        let accepted = try target.accept()
        defer { accepted.close() }
        return accepted.peerHost
    }

    // MARK: - Limits

    @Test func sourcesOfAListenerWithLimitsAreCountedApart() async throws {
        try await Self.withTwoListeners({
            $0.limits.connectionsPerSource = 2
            $0.listeners[1].limits = SourceLimits(connectionsPerSource: 1)
        }) { server, common, own in
            let target = try TestListener()
            defer { target.close() }
            func tunnel(_ port: Int, _ host: String) throws -> TestSocket {
                let socket = try TestSocket(connectingTo: port, host: host)
                guard try socket.request(.connect, .loopback(target.port)).reply == .succeeded else {
                    throw TestFailure("no tunnel at \(host)")
                }
                return socket
            }
            func expectClosed(_ port: Int, _ host: String) throws {
                let refused = try TestSocket(connectingTo: port, host: host)
                defer { refused.close() }
                try refused.waitForClose()
            }
            let through = [
                try tunnel(common, "127.0.0.1"), try tunnel(common, "127.0.0.1"), try tunnel(own, Self.own),
            ]
            defer { for socket in through { socket.close() } }
            try expectClosed(common, "127.0.0.1")
            try expectClosed(own, Self.own)
            #expect(server.statistics.refusals(.connectionsPerSource) == 2)
            // Its place is free again, but no other.
            through[2].reset()
            try eventually("a place is free") { server.statistics.active == 2 }
            try tunnel(own, Self.own).close()
            try expectClosed(common, "127.0.0.1")
        }
    }

    @Test func aListenersLimitsReplaceTheCommonOnes() throws {
        var configuration = Configuration()
        configuration.limits.connectionsPerSource = 1
        configuration.limits.bandwidthPerConnection = 1024
        var listener = Configuration.ListenerSettings(.loopback)
        #expect(ListenerTerms(listener, configuration).bounds == nil)
        listener.limits = SourceLimits(bandwidthPerConnection: 4096)
        let bounds = try #require(ListenerTerms(listener, configuration).bounds)
        #expect(bounds.source == nil && bounds.bandwidth != nil)
    }

    @Test func aReloadGivesAListenerLimits() async throws {
        try await Self.withTwoListeners({ _ in }) { server, _, own in
            var next = server.configuration
            next.listeners[1].limits = SourceLimits(connectionsPerSource: 1)
            let before = try TestSocket(connectingTo: own, host: Self.own)
            try before.send(Greeting(methods: [.noAuthentication]))
            _ = try before.receive(MethodSelection.self)
            try server.reload(next)
            // Earlier connections aren't counted, and return nothing.
            try eventually("the second one is refused") {
                let first = try TestSocket(connectingTo: own, host: Self.own)
                defer { first.close() }
                try first.send(Greeting(methods: [.noAuthentication]))
                guard (try? first.receive(MethodSelection.self)) != nil else { return false }
                let second = try TestSocket(connectingTo: own, host: Self.own)
                defer { second.close() }
                try? second.send(Greeting(methods: [.noAuthentication]))
                return (try? second.receive(MethodSelection.self)) == nil
            }
            before.close()
            try server.reload(server.configuration)
        }
    }

    // MARK: - Egress

    @Test func connectionsLeaveByTheAddressThatTheClientHasReached() async throws {
        try await Self.withTwoListeners({
            $0.egress.addresses = [try IPNetwork(parsing: "127.0.0.7")]
            $0.listeners[1].egress = .incoming
        }) { _, common, own in
            let ofCommon = try Self.source(common, host: "127.0.0.1")
            #expect(ofCommon == "127.0.0.7")
            let ofOwn = try Self.source(own, host: Self.own)
            #expect(ofOwn == Self.own)
        }
    }

    @Test func aWildcardListenerLeavesByTheReachedAddress() async throws {
        try await withServerObject({
            $0.listen = [try ListenAddress(parsing: "[::]:0")]
            $0.listeners[0].egress = .incoming
            $0.isOpen = true
            $0.destinationGuard.mode = .off
        }) { _, port in
            for host in ["127.0.0.1", "127.0.0.3"] {
                let source = try Self.source(port, host: host)
                #expect(source == host)
            }
        }
    }

    /// A peer that connects from there must be accepted there.
    @Test func aBindListensOnTheAddressThatTheClientHasReached() async throws {
        try await Self.withTwoListeners({
            $0.egress.addresses = [IPNetwork(try #require(IPAddress("127.0.0.7")))]
            $0.listeners[1].egress = .incoming
        }) { _, common, own in
            for (port, host, last) in [(common, "127.0.0.1", UInt8(7)), (own, Self.own, 2)] {
                let client = try TestSocket(connectingTo: port, host: host)
                defer { client.close() }
                let first = try client.request(.bind, .loopback(0))
                #expect(first.reply == .succeeded)
                #expect(first.boundAddress.host == .ipv4(IPv4Address(127, 0, 0, last)))
                let place = Int(first.boundAddress.port)
                // From the awaited host, which is the target of the request.
                let peer = try TestSocket(connectingTo: place, host: "127.0.0.\(last)", from: "127.0.0.1")
                defer { peer.close() }
                let second = try client.receive(SOCKSResponse.self)
                #expect(second.boundAddress.port == UInt16(peer.localPort))
            }
        }
    }

    @Test func connectionsOfIPv6LeaveByTheAddressThatTheClientHasReached() async throws {
        try await withServerObject({
            $0.listen = [try ListenAddress(parsing: "[::1]:0")]
            $0.listeners[0].egress = .incoming
        }) { _, port in
            let target = try TestListener(host: "::1")
            defer { target.close() }
            let socket = try TestSocket(connectingTo: port, host: "::1")
            defer { socket.close() }
            #expect(try socket.request(.connect, .loopback6(target.port)).reply == .succeeded)
            let accepted = try target.accept()
            defer { accepted.close() }
            #expect(accepted.peerHost == "::1")
            // In the other family no address was reached, so it leaves as usual.
            let source = try Self.source(port, host: "::1")
            #expect(source == "127.0.0.1")
            let awaiting = try TestSocket(connectingTo: port, host: "::1")
            defer { awaiting.close() }
            #expect(try awaiting.request(.bind, .loopback6(0)).boundAddress.host == .ipv6(.loopback))
        }
    }

    /// This machine may have only one IPv6 address.
    @Test func theReachedAddressReplacesTheOthersOfItsFamily() throws {
        var configuration = Configuration()
        let (four, six) = (try #require(IPAddress("192.0.2.1")), try #require(IPAddress("2001:db8::1")))
        configuration.egress.addresses = [IPNetwork(four), IPNetwork(six)]
        configuration.listeners[0].egress = .incoming
        let terms = ListenerTerms(configuration.listeners[0], configuration)
        let reached = try #require(IPAddress("2001:db8::2"))
        let way = try #require(terms.egress)
        let subject = Subject(client: someone, user: nil, command: .connect, reached: reached)
        let options = [false, true].map { way.options(for: subject, isIPv6: $0, own: nil) }
        #expect(options[0].ipv4Source == SocketAddress(four, port: 0))
        #expect(options[1].ipv6Source == SocketAddress(reached, port: 0))
    }

    @Test func datagramsLeaveByTheAddressThatTheClientHasReached() async throws {
        try await Self.withTwoListeners({ $0.listeners[1].egress = .incoming }) { _, _, own in
            let target = try TestDatagramSocket()
            defer { target.close() }
            let association = try TestAssociation(
                TestSocket(connectingTo: own, host: Self.own),
                TestDatagramSocket(),
                .unspecified
            )
            defer { association.close() }
            try association.send([1], to: target.address)
            let source = try target.receive().source
            #expect(source.description.hasPrefix("\(Self.own):"))
        }
    }

    @Test func aListenerHasItsEgressAndUsersHaveTheirs() async throws {
        try await Self.withTwoListeners({
            var alice = ProxyUser(name: "alice", password: "secret")
            alice.egressAddresses = [try IPNetwork(parsing: "127.0.0.9")]
            $0.users = [alice, ProxyUser(name: "bob", password: "secret")]
            var egress = Configuration.Egress()
            egress.addresses = [try IPNetwork(parsing: "127.0.0.8")]
            $0.listeners[1].egress = .fixed(egress)
        }) { server, common, own in
            func expect(_ user: String, _ port: Int, _ host: String, _ source: String) throws {
                let seen = try Self.source(port, host: host, as: user)
                #expect(seen == source, "\(user) at \(host)")
            }
            try expect("bob", common, "127.0.0.1", "127.0.0.1")
            try expect("bob", own, Self.own, "127.0.0.8")
            try expect("alice", common, "127.0.0.1", "127.0.0.9")
            try expect("alice", own, Self.own, "127.0.0.9")
            var next = server.configuration
            next.listeners[1].egress = .incoming
            try server.reload(next)
            try eventually("the new way") {
                try Self.source(own, host: Self.own, as: "bob") == Self.own
            }
        }
    }

    @Test func anUnusableEgressIsRefusedAtTheStart() async throws {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        var egress = Configuration.Egress()
        egress.addresses = [try IPNetwork(parsing: "192.0.2.1")]
        configuration.listeners[0].egress = .fixed(egress)
        let server = try ProxyServer(configuration: configuration)
        let error = await #expect(throws: ProxyServerError.self) { try await server.start() }
        #expect(error?.code == .addressNotAvailable)
        #expect(error?.description.hasPrefix("listener 127.0.0.1:0: 192.0.2.1 is not an address") == true)
        egress.addresses.append(try IPNetwork(parsing: "192.0.2.1"))
        configuration.listeners[0].egress = .fixed(egress)
        #expect(throws: ProxyServerError.self) { try ProxyServer(configuration: configuration) }
        configuration.listeners[0].egress = nil
        configuration.listeners[0].limits = SourceLimits(connectionsPerSource: 0)
        #expect(throws: ProxyServerError.self) { try ProxyServer(configuration: configuration) }
    }

    // MARK: - The longest time

    @Test func aSessionEndsWhenItHasLastedAsLongAsItMay() async throws {
        try await withServerObject({ $0.timeouts.session = .milliseconds(300) }) { server, port in
            let target = try TestListener()
            defer { target.close() }
            let client = try TestSocket.tunnel(through: port, to: .loopback(target.port))
            defer { client.close() }
            let accepted = try target.accept()
            defer { accepted.close() }
            let silent = try TestSocket(connectingTo: port)
            defer { silent.close() }
            // Relayed bytes don't prolong it.
            try eventually("it ends") {
                try? client.send([1])
                return server.statistics.active == 0
            }
            #expect(server.statistics[.timedOut] == 2)
            // The relayed bytes are incomplete.
            try accepted.expectReset()
            let ended = server.metrics().ended.filter { $0.outcome == .sessionTimedOut }
            #expect(ended.reduce(0) { $0 + $1.count } == 2)
        }
    }

    @Test func theLongestTimeIsLookedAtOnceASecondAtMost() {
        var time = LongestTime(.seconds(10))
        #expect(time.sessionDidBegin(1000) == 11_000)
        #expect(time.sessionDidBegin(2000) == nil && time.look == 11_000)
        #expect(time.isOver(1000, now: 11_000) && !time.isOver(1001, now: 11_000))
        time.didLook(oldest: 1001, now: 11_000)
        #expect(time.look == 12_000)
        time.didLook(oldest: 9000, now: 12_000)
        #expect(time.look == 19_000)
        time.didLook(oldest: nil, now: 19_000)
        #expect(time.look == nil)
        var none = LongestTime(nil)
        #expect(none.sessionDidBegin(1000) == nil && !none.isOver(0, now: .max))
    }
}
