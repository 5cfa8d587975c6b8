import ProxyPolicy
import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server

/// Clients behind a load balancer that names them by a PROXY header.
@Suite struct PreambleTests {
    private static func behind(
        _ networks: String...
    ) throws -> [IPNetwork] {
        try networks.map { try IPNetwork(parsing: $0) }
    }

    private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]

    /// Version 2, as a balancer sends it: 127.0.0.`client` to 127.0.0.1.
    private static func header(_ client: UInt8, fields: [UInt8] = []) -> [UInt8] {
        let block: [UInt8] = [127, 0, 0, client, 127, 0, 0, 1, 0x12, 0x67, 0x04, 0x38] + fields
        return signature + [0x21, 0x11, 0, UInt8(block.count)] + block
    }

    private static let local = signature + [0x20, 0, 0, 0]

    private static func line(_ client: String) -> [UInt8] {
        Array("PROXY TCP4 \(client) 127.0.0.1 4711 1080\r\n".utf8)
    }

    /// A connection through a balancer, after its header.
    private static func connect(_ port: Int, _ header: [UInt8]) throws -> TestSocket {
        let socket = try TestSocket(connectingTo: port)
        try socket.send(header)
        return socket
    }

    private static func greet(_ socket: TestSocket) throws {
        try socket.send(Greeting(methods: [.noAuthentication]))
        let selection = try socket.receive(MethodSelection.self)
        #expect(selection.method == .noAuthentication)
    }

    private static func withBalancer(
        _ configure: (inout Configuration) throws -> Void = { _ in },
        _ body: @escaping @Sendable (ProxyServer, Int) throws -> Void
    ) async throws {
        try await withServerObject(
            {
                $0.listeners[0].proxyProtocol = try behind("127.0.0.1")
                $0.isOpen = true
                $0.destinationGuard.mode = .off
                try configure(&$0)
            },
            body
        )
    }

    private static func count(_ server: ProxyServer, _ reason: ConnectionRefusal) -> UInt64 {
        server.metrics().listeners[0].refused.first { $0.reason == reason }?.count ?? 0
    }

    // MARK: - Who the client is

    @Test(arguments: [
        (header(7), "127.0.0.7:4711"), (line("127.0.0.8"), "127.0.0.8:4711"),
        // As AWS sends it: the name of an endpoint, and padding.
        (header(9, fields: [0xea, 0, 4, 1, 0x76, 0x70, 0x63, 0x04, 0, 2, 0, 0]), "127.0.0.9:4711"),
        (Array("PROXY TCP6 ::ffff:127.0.0.10 ::1 4711 1080\r\n".utf8), "127.0.0.10:4711"),
    ]) func theLogSeesTheClientOfTheHeader(_ header: [UInt8], _ client: String) async throws {
        let sessions = RecordedSessions()
        try await Self.withBalancer({ $0.observer = sessions }) { _, port in
            let socket = try Self.connect(port, header)
            defer { socket.close() }
            let reply = try socket.request(.connect, .loopback(1)).reply
            #expect(reply == .connectionRefused)
            socket.endSending()
            let ended = try sessions.next(after: 0)
            #expect(ended.client.description == client && ended.balancer?.host == "127.0.0.1")
            #expect(sessions.began.map(\.client) == [ended.client])
        }
    }

    @Test func aHealthCheckIsServedAsTheBalancerItself() async throws {
        let sessions = RecordedSessions()
        try await Self.withBalancer({
            $0.observer = sessions
            $0.listeners[0].clients = try Self.behind("10.0.0.0/8")
        }) { server, port in
            for header in [Self.local, Array("PROXY UNKNOWN\r\n".utf8)] {
                let socket = try Self.connect(port, header)
                try Self.greet(socket)
                socket.close()
            }
            // It may leave as soon as it has announced itself.
            try Self.connect(port, Self.local).close()
            _ = try sessions.next(after: 2)
            #expect(sessions.ended.allSatisfy { $0.client.address == .ipv4(.loopback) })
            #expect(sessions.ended.allSatisfy { $0.outcome == .probe && $0.balancer == nil })
            #expect(server.statistics[.version1Headers] == 1 && server.statistics[.version2Headers] == 2)
            #expect(server.statistics[.refusedForHeader] == 0)
        }
    }

    /// Each part of the header, greeting and request in a segment of its own, and all in one.
    @Test func headerAndHandshakeMayBeCutAnywhere() async throws {
        try await Self.withBalancer { _, port in
            for header in [Self.header(7), Self.line("127.0.0.7")] {
                let sent = header + Greeting(methods: [.noAuthentication]).encoded
                for cut in 0...sent.count {
                    let socket = try TestSocket(connectingTo: port)
                    defer { socket.close() }
                    try socket.send(Array(sent[..<cut]))
                    try socket.send(Array(sent[cut...]))
                    let selection = try socket.receive(MethodSelection.self)
                    #expect(selection.method == .noAuthentication)
                }
            }
        }
    }

    @Test func payloadInTheSegmentOfTheHeaderReachesTheTarget() async throws {
        try await Self.withBalancer { _, port in
            let target = try TestListener()
            defer { target.close() }
            let request = SOCKSRequest(command: .connect, destination: .loopback(target.port))
            let socket = try Self.connect(
                port,
                Self.header(7) + Greeting(methods: [.noAuthentication]).encoded + request.encoded + [1, 2, 3]
            )
            defer { socket.close() }
            let accepted = try target.accept()
            defer { accepted.close() }
            let payload = try accepted.receive(3)
            #expect(payload == [1, 2, 3])
        }
    }

    /// Together they are longer than a session's buffer for a handshake, in one burst or in two.
    @Test(arguments: [0, 100, 3000, 4090]) func theLongestRequestFollowsALongHeader(_ first: Int) async throws
    {
        try await Self.withBalancer({ $0.listeners[0].protocols = [.http] }) { server, port in
            let target = try TestListener()
            defer { target.close() }
            let header = Self.header(7, fields: [4, 0, 230] + Array(repeating: 0, count: 230))
            let head = "CONNECT 127.0.0.1:\(target.port) HTTP/1.1\r\nHost: a\r\nCookie: "
            let filling = HTTPHandshake.longestRequest - head.utf8.count - 4
            let request = Array("\(head)\(String(repeating: "x", count: filling))\r\n\r\n".utf8)
            let sent = header + request + [1, 2, 3]
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            try socket.send(Array(sent[..<first]))
            if first > header.count {
                try eventually("the header is read") { server.statistics[.version2Headers] == 1 }
            }
            try socket.send(Array(sent[first...]))
            let accepted = try target.accept()
            defer { accepted.close() }
            let payload = try accepted.receive(3)
            #expect(payload == [1, 2, 3])
        }
    }

    // MARK: - What it counts for

    @Test func rulesSeeTheClientOfTheHeader() async throws {
        try await Self.withBalancer({
            $0.rules = [Rule(.deny, clients: try Self.behind("127.0.0.7"))]
        }) { _, port in
            for (client, expected) in [
                (UInt8(7), Reply.notAllowed), (8, .connectionRefused), (1, .connectionRefused),
            ] {
                let socket = try Self.connect(port, Self.header(client))
                defer { socket.close() }
                let reply = try socket.request(.connect, .loopback(1)).reply
                #expect(reply == expected)
            }
        }
    }

    @Test func aListenersClientsAreTheOnesNamedByHeaders() async throws {
        try await Self.withBalancer({ $0.listeners[0].clients = try Self.behind("127.0.0.7") }) {
            server,
            port in
            let stranger = try Self.connect(port, Self.header(8))
            defer { stranger.close() }
            try stranger.waitForClose()
            #expect(server.statistics[.refusedToStrangers] == 1)
            let client = try Self.connect(port, Self.header(7))
            defer { client.close() }
            try Self.greet(client)
        }
    }

    @Test func limitsOfASourceCountTheClientsAndNotTheBalancer() async throws {
        try await Self.withBalancer({ $0.limits.connectionsPerSource = 2 }) { server, port in
            let waiting = try (0..<5).map { _ in try TestSocket(connectingTo: port) }
            defer { for socket in waiting { socket.close() } }
            let clients = try [UInt8(7), 7, 8, 8].map { try Self.connect(port, Self.header($0)) }
            defer { for socket in clients { socket.close() } }
            for socket in clients { try Self.greet(socket) }
            let third = try Self.connect(port, Self.header(7))
            defer { third.close() }
            try third.waitForClose()
            #expect(Self.count(server, .connectionsPerSource) == 1)
        }
    }

    @Test func theClientIsBannedAndNotTheBalancer() async throws {
        try await Self.withBalancer({
            $0.users = [ProxyUser(name: "alice", password: "secret")]
            $0.loginBan = LoginBan()
            $0.loginBan?.failures = 1
        }) { server, port in
            let wrong = try Self.connect(port, Self.header(7))
            defer { wrong.close() }
            try wrong.send(Greeting(methods: [.usernamePassword]))
            _ = try wrong.receive(MethodSelection.self)
            try wrong.send(Credentials(username: "alice", password: "wrong"))
            try eventually("7 is banned") { server.metrics().bans == 1 }
            let banned = try Self.connect(port, Self.header(7))
            defer { banned.close() }
            try banned.waitForClose()
            #expect(server.statistics[.refusedAsBanned] == 1)
            let other = try Self.connect(port, Self.header(8))
            defer { other.close() }
            try other.send(Greeting(methods: [.usernamePassword]))
            let selection = try other.receive(MethodSelection.self)
            #expect(selection.method == .usernamePassword)
        }
    }

    /// Datagrams are accepted from the address in the header, not from the balancer's.
    @Test func anAssociationHearsTheClientOfTheHeader() async throws {
        try await Self.withBalancer { _, port in
            let echo = try TestDatagramSocket()
            defer { echo.close() }
            let control = try Self.connect(port, Self.header(7))
            defer { control.close() }
            let response = try control.request(.udpAssociate, .unspecified)
            #expect(response.reply == .succeeded)
            let relay = Int(response.boundAddress.port)
            let balancer = try TestDatagramSocket()
            let client = try TestDatagramSocket(host: "127.0.0.7")
            defer {
                balancer.close()
                client.close()
            }
            let header = DatagramHeader(destination: .loopback(echo.port)).encoded
            try balancer.send(header + [1], to: .loopback(relay))
            try client.send(header + [2], to: .loopback(relay))
            let received = try echo.receive()
            #expect(received.bytes == [2])
        }
    }

    /// Which peers a BIND accepts depends on the client.
    @Test(arguments: [(UInt8(7), UInt8(3)), (8, 2)])
    func aBindAcceptsThePeersOfTheClientOfTheHeader(_ client: UInt8, _ accepted: UInt8) async throws {
        try await Self.withBalancer({
            $0.rules = [
                Rule(.deny, clients: try Self.behind("127.0.0.7"), networks: try Self.behind("127.0.0.2"))
            ]
        }) { _, port in
            let socket = try Self.connect(port, Self.header(client))
            defer { socket.close() }
            let first = try socket.request(.bind, .unspecified)
            #expect(first.reply == .succeeded)
            for last in 2...accepted {
                let peer = try TestSocket(
                    connectingTo: Int(first.boundAddress.port),
                    from: "127.0.0.\(last)"
                )
                defer { peer.close() }
                if last < accepted { try peer.waitForClose() }
            }
            let second = try socket.receive(SOCKSResponse.self)
            #expect(second.boundAddress.host == .ipv4(IPv4Address(127, 0, 0, accepted)))
        }
    }

    // MARK: - What is closed

    private static let faults: [([UInt8], ConnectionRefusal)] = [
        ([5, 1, 0], .headerMissing), (Array("GET / HTTP/1.1\r\n\r\n".utf8), .headerMissing),
        (Array("PROXY TCP4 127.0.0.07 127.0.0.1 1 1\r\n".utf8), .headerMalformed),
        (Array("PROXY UNKNOWN \(String(repeating: "x", count: 93))".utf8), .headerTooLong),
        (signature + [0x21, 0x41, 0, 0], .headerMalformed),
        (signature + [0x31, 0x11, 0, 0], .headerMalformed),
        (signature + [0x21, 0x11, 0x02, 0x09], .headerTooLong),
        (header(7, fields: [3, 0, 4, 0, 0, 0, 0]), .headerChecksum),
    ]

    @Test func aBadHeaderClosesAndIsCountedByItsCause() async throws {
        let sessions = RecordedSessions()
        try await Self.withBalancer({ $0.observer = sessions }) { server, port in
            for (bytes, reason) in Self.faults {
                let before = Self.count(server, reason)
                let socket = try Self.connect(port, bytes)
                defer { socket.close() }
                try socket.waitForClose()
                #expect(Self.count(server, reason) == before + 1, "\(bytes)")
            }
            #expect(server.statistics[.refusedForHeader] == UInt64(Self.faults.count))
            #expect(server.statistics[.accepted] == 0)
            #expect(sessions.began.isEmpty && sessions.ended.isEmpty)
        }
    }

    @Test func aHeaderFromElsewhereIsNotRead() async throws {
        try await Self.withBalancer { server, port in
            let socket = try TestSocket(connectingTo: port, from: "127.0.0.2")
            defer { socket.close() }
            try socket.waitForClose()
            #expect(Self.count(server, .headerFromElsewhere) == 1)
        }
    }

    @Test func anEarlyEndIsCounted() async throws {
        try await Self.withBalancer { server, port in
            try TestSocket(connectingTo: port).close()
            try eventually("nothing came") { Self.count(server, .headerMissing) == 1 }
            for count in [1, 20] {
                let socket = try Self.connect(port, Array(Self.header(7)[..<count]))
                defer { socket.close() }
                socket.endSending()
                try socket.waitForClose()
            }
            #expect(Self.count(server, .headerCut) == 2)
        }
    }

    @Test(arguments: [0, 1, 27]) func aHeaderThatComesTooLateCloses(_ count: Int) async throws {
        try await Self.withBalancer({ $0.timeouts.handshake = .milliseconds(100) }) { server, port in
            let socket = try Self.connect(port, Array(Self.header(7)[..<count]))
            defer { socket.close() }
            try socket.waitForClose()
            #expect(Self.count(server, .headerLate) == 1)
        }
    }

    /// They take a place, but keep nobody out.
    @Test func aConnectionWithoutAHeaderGivesWay() async throws {
        try await Self.withBalancer({
            $0.maxConnections = 2
            $0.workers = 1
        }) { server, port in
            let waiting = try (0..<2).map { _ in try TestSocket(connectingTo: port) }
            defer { for socket in waiting { socket.close() } }
            let client = try Self.connect(port, Self.header(7))
            defer { client.close() }
            try Self.greet(client)
            #expect(server.statistics[.displacedHandshakes] == 1)
        }
    }

    /// The exception is for the balancer's own connections.
    @Test func aNamedClientAmongTheBalancersIsAStrangerLikeOthers() async throws {
        try await Self.withBalancer({
            $0.listeners[0].proxyProtocol = try Self.behind("127.0.0.0/8")
            $0.listeners[0].clients = try Self.behind("127.0.0.8")
        }) { server, port in
            let stranger = try Self.connect(port, Self.header(9))
            defer { stranger.close() }
            try stranger.waitForClose()
            #expect(Self.count(server, .stranger) == 1)
            let client = try Self.connect(port, Self.header(8))
            defer { client.close() }
            try Self.greet(client)
        }
    }

    @Test func aReloadCanRemoveABalancer() async throws {
        try await Self.withBalancer { server, port in
            let waiting = try TestSocket(connectingTo: port)
            defer { waiting.close() }
            try eventually("it waits for its header") {
                server.crew.members.contains { $0.counters.handshakes == 1 }
            }
            var next = server.configuration
            next.listeners[0].proxyProtocol = try Self.behind("10.0.0.0/8")
            try server.reload(next)
            try eventually("the reload has come to all workers") {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                return try socket.receiveToEnd() == []
            }
            let before = Self.count(server, .headerFromElsewhere)
            try waiting.send(Self.header(7))
            try waiting.waitForClose()
            #expect(Self.count(server, .headerFromElsewhere) == before + 1)
        }
    }

    /// Its clients are elsewhere, whatever its own address is.
    @Test func aListenerOfBalancersIsReachedByStrangers() throws {
        var configuration = Configuration()
        configuration.listeners[0].proxyProtocol = try Self.behind("127.0.0.1")
        let error = #expect(throws: ProxyServerError.self) {
            try ProxyServer(configuration: configuration, logger: suiteLogger)
        }
        #expect(error?.code == .openToNetwork)
        #expect(configuration.guardsDestinations)
        // A balancer may name any client.
        configuration.listeners[0].clients = try Self.behind("10.0.0.0/8")
        _ = try ProxyServer(configuration: configuration, logger: suiteLogger)
        configuration.listeners[0].proxyProtocol = try Self.behind("0.0.0.0/0")
        #expect(throws: ProxyServerError.self) {
            try ProxyServer(configuration: configuration, logger: suiteLogger)
        }
    }

    @Test func aListenerWithoutBalancersIsRefused() {
        expectInvalid([{ $0.listeners[0].proxyProtocol = [] }]) { $0.contains("takes headers of no network") }
    }
}
