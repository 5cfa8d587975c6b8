import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// PROTOCOL 57: the way out of a request.
@Suite struct RouteTests {
    private static func hosts(_ name: String, _ addresses: [String]) -> [HostName: [IPAddress]] {
        guard let name = HostName(name) else { return [:] }
        return [name: addresses.compactMap { IPAddress($0) }]
    }

    private static func route(_ name: String, _ change: (inout Route) throws -> Void) rethrows -> Route {
        var route = Route(name == "direct" ? .direct : .parent(name))
        try change(&route)
        return route
    }

    /// The route and the parent that a session had.
    private static func way(
        of destination: Destination,
        through port: Int,
        _ sessions: RecordedSessions,
        _ count: Int,
        from source: String? = nil
    ) throws -> [String?] {
        let socket = try TestSocket(connectingTo: port, from: source ?? "127.0.0.1")
        _ = try socket.request(.connect, destination)
        socket.close()
        let session = try sessions.next(after: count)
        return [session.route, session.parent]
    }

    @Test func theFirstRouteThatMatchesIsTaken() async throws {
        let sessions = RecordedSessions()
        let closed = TestListener.unusedPort()
        try await withParents([{ _ in }, { _ in }]) { server, ports in
            server.parents = [Parent("a", port: ports[0]), Parent("b", port: ports[1])]
            server.routes = [
                try Self.route("a") { $0.domains = [try DomainPattern(parsing: ".onion")] },
                try Self.route("b") { $0.networks = [try IPNetwork(parsing: "127.0.0.0/16")] },
                Self.route("a") {
                    $0.ports = [PortRange(81)]
                    $0.place = "socks5d.yaml:7"
                },
                try Self.route("direct") { $0.clients = [try IPNetwork(parsing: "127.0.0.9/32")] },
            ]
            server.observer = sessions
        } _: { port, _ in
            let cases: [(Destination, [String?])] = [
                (Destination(name: "x.onion", port: 80), ["route 1", "a"]),
                (.loopback(closed), ["route 2", "b"]),
                (Destination(host: .ipv4(IPv4Address(127, 1, 0, 1)), port: 81), ["socks5d.yaml:7", "a"]),
                (Destination(host: .ipv4(IPv4Address(127, 1, 0, 1)), port: UInt16(closed)), [nil, nil]),
                // Its address is in the network, but the parent would resolve it.
                (Destination(name: "localhost", port: closed), [nil, nil]),
            ]
            for (index, (destination, expected)) in cases.enumerated() {
                let way = try Self.way(of: destination, through: port, sessions, index)
                #expect(way == expected, "\(destination)")
            }
            let source = Destination(host: .ipv4(IPv4Address(127, 1, 0, 1)), port: UInt16(closed))
            #expect(
                try Self.way(of: source, through: port, sessions, cases.count, from: "127.0.0.9")
                    == ["route 4", nil]
            )
        }
    }

    @Test func aListenersRoutesComeFirstThenTheUsersThenTheCommonOnes() async throws {
        let sessions = RecordedSessions()
        try await withParents([{ _ in }]) { server, ports in
            server.parents = [Parent("up", port: ports[0])]
            server.users = ["alice", "bob"].map { ProxyUser(name: $0, password: "p") }
            server.listeners[0].routes = [Self.route("up") { $0.ports = [PortRange(81)] }]
            server.routesPerUser = [Array("alice".utf8): [Self.route("up") { $0.ports = [PortRange(82)] }]]
            server.routes = [Self.route("direct") { _ in }]
            server.observer = sessions
        } _: { port, _ in
            let cases: [(user: String, port: Int, way: [String?])] = [
                ("alice", 81, ["listener's route 1", "up"]), ("alice", 82, ["user's route 1", "up"]),
                ("alice", 83, ["route 1", nil]), ("bob", 81, ["listener's route 1", "up"]),
                ("bob", 82, ["route 1", nil]),
            ]
            for (index, (user, target, expected)) in cases.enumerated() {
                let socket = try TestSocket(connectingTo: port)
                try socket.send(Greeting(methods: [.usernamePassword]))
                _ = try socket.receive(MethodSelection.self)
                try socket.send(Credentials(username: user, password: "p"))
                _ = try socket.receive(AuthenticationStatus.self)
                try socket.send(SOCKSRequest(command: .connect, destination: .loopback(target)))
                _ = try socket.receive(SOCKSResponse.self)
                socket.close()
                let session = try sessions.next(after: index)
                #expect([session.route, session.parent] == expected, "\(user) \(target)")
            }
        }
    }

    /// The name's address decides, and is sent to the parent.
    @Test func aRouteWithLocalNamesSeesTheirAddresses() async throws {
        let sessions = RecordedSessions()
        let parent = try ScriptedParent()
        defer { parent.close() }
        try await withServerObject({ server in
            server.parents = [Parent("up", port: parent.port)]
            server.families.only = .ipv4
            var route = Route(.parent("up"))
            route.networks = [try IPNetwork(parsing: "127.0.0.0/8")]
            route.names = .local
            server.routes = [route]
            server.observer = sessions
        }) { _, port in
            let client = TestThread {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                #expect(
                    try socket.request(.connect, Destination(name: "localhost", port: 80)).reply == .succeeded
                )
            }
            let asked = try parent.accept()
            #expect(try asked.takeRequest().destination == .loopback(80))
            try asked.send(SOCKSResponse(reply: .succeeded, boundAddress: .loopback(7)))
            try client.join()
            asked.close()
            #expect(try sessions.next(after: 0).parent == "up")
        }
    }

    @Test func rulesAndGuardComeBeforeTheRoute() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        try await withServer({ server in
            server.parents = [Parent("up", port: parent.port)]
            server.routes = [Route(.parent("up"))]
            server.rules = [Rule(.deny, ports: [PortRange(81)])]
            server.destinationGuard.mode = .on
        }) { port in
            try expect(.notAllowed, through: port, to: Destination(name: "name.test", port: 81))
            try expect(.notAllowed, through: port, to: .loopback(80))
            #expect(!parent.listener.hasConnection)
        }
    }

    /// The guard restricts clients, not connections to the operator's parent.
    @Test func theGuardLetsTheParentItselfBe() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        try await withServer({ server in
            server.parents = [Parent("up", port: parent.port)]
            server.routes = [Route(.parent("up"))]
            server.destinationGuard.mode = .on
        }) { port in
            let client = TestThread {
                try expect(.succeeded, through: port, to: Destination(name: "a.test", port: 80))
            }
            let asked = try parent.accept()
            _ = try asked.takeRequest()
            try asked.send(SOCKSResponse(reply: .succeeded, boundAddress: .loopback(7)))
            try client.join()
            asked.close()
        }
    }

    @Test func routesThatLeadNowhereAreRefused() {
        func parents(_ change: @escaping (inout [Parent]) -> Void) -> (inout Configuration) -> Void {
            { configuration in
                configuration.parents = ["a", "b"].map { Parent($0, port: 9) }
                change(&configuration.parents)
            }
        }
        expectInvalid(
            [
                { $0.routes = [Route(.parent("nobody"))] },
                {
                    $0.routes = [Route(.direct)]; $0.routes[0].ports = []
                },
                parents { $0[1].name = "a" },
                parents { $0[1].name = "direct" },
                parents { $0[1].name = "" },
                parents { $0[0].through = "nobody" },
                parents { $0[0].through = "a" },
                parents { ($0[0].through, $0[1].through) = ("b", "a") },
                parents { list in
                    list = (0...Parent.longestChain).map { Parent("p\($0)", port: 9) }
                    for index in 1..<list.count { list[index].through = "p\(index - 1)" }
                },
                parents {
                    $0[0] = Parent("a", .socks5, at: .unix(path: "/x")); $0[0].through = "b"
                },
                parents { $0[0].credentials = Credentials(username: "", password: "p") },
                parents { $0[0].credentials = Credentials(username: "a", password: "") },
                { $0.parentGroups = [ParentGroup("g", anyOf: [])] },
                { $0.parentGroups = [ParentGroup("g", anyOf: [.init("nobody")])] },
            ],
            isRight: { $0.contains("parent") || $0.contains("route") }
        )
    }

    @Test func aReloadChangesTheRoutes() async throws {
        let sessions = RecordedSessions()
        let parent = TestListener.unusedPort()
        try await withServerObject({ $0.observer = sessions }) { server, port in
            let closed = Destination.loopback(TestListener.unusedPort())
            #expect(try Self.way(of: closed, through: port, sessions, 0) == [nil, nil])
            var configuration = Configuration()
            configuration.parents = [Parent("up", port: parent)]
            configuration.routes = [Route(.parent("up"))]
            try server.reload(configuration)
            #expect(try Self.way(of: closed, through: port, sessions, 1) == ["route 1", "up"])
        }
    }

    @Test func theServerItselfIsNoParent() async throws {
        expectInvalid(
            [
                {
                    $0.listen = [.loopback]
                    $0.parents = [Parent("me", port: 1080)]
                }
            ],
            isRight: { $0.contains("is this server itself") }
        )
        let sessions = RecordedSessions()
        try await withServerObject({ $0.observer = sessions }) { server, port in
            // By a name, and at a port that the system has chosen.
            var configuration = Configuration()
            let name = try #require(HostName("localhost"))
            configuration.parents = [Parent("me", .socks5, at: .tcp(.name(name, port: UInt16(port))))]
            configuration.routes = [Route(.parent("me"))]
            try server.reload(configuration)
            try expect(.generalFailure, through: port, to: Destination(name: "name.test", port: 80))
            #expect(
                try sessions.next(after: 0).reason == "parent breaks its protocol: it is this server itself"
            )
            #expect(server.statistics[.accepted] == 1)
        }
    }

    /// By any path, before the socket exists and after.
    @Test func theServersOwnUnixSocketIsNoParent() async throws {
        let folder = "/tmp/socks5d-test-\(UInt64.random(in: 0...UInt64.max))"
        #expect(mkdir(folder, 0o700) == 0)
        defer {
            unlink("\(folder)/link")
            rmdir(folder)
        }
        let path = "\(folder)/proxy.sock"
        let own = try ListenAddress(unix: path)
        #expect(own.isPlace(.unix(path: "\(folder)//proxy.sock")))
        #expect(own.isPlace(.unix(path: "\(folder)/../..\(path)")))
        #expect(!own.isPlace(.unix(path: "\(folder)/other.sock")))
        #expect(symlink("proxy.sock", "\(folder)/link") == 0)
        let sessions = RecordedSessions()
        var configuration = Configuration()
        configuration.listen = [own]
        configuration.workers = 1
        configuration.parents = [Parent("me", .socks5, at: .unix(path: "\(folder)/link"))]
        configuration.routes = [Route(.parent("me"))]
        configuration.observer = sessions
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await server.start()
        try await attempt {
            try await onThread { [configuration] in
                let client = try TestSocket(connectingToUnix: path)
                defer { client.close() }
                #expect(try client.request(.connect, .loopback(80)).reply == .generalFailure)
                client.close()
                let session = try sessions.next(after: 0)
                #expect(session.reason == "parent breaks its protocol: it is this server itself")
                #expect(server.statistics[.accepted] == 1)
                // The link now leads to a socket.
                #expect(throws: ProxyServerError.self) { try server.reload(configuration) }
            }
        } then: {
            await server.stop(grace: .zero)
        }
    }

    /// Only some of the name's addresses are in the network with the direct route.
    @Test func anAddressThatAnotherRouteLeadsElsewhereIsNotDialledStraight() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        let target = try TestListener(host: "127.0.0.3")
        defer { target.close() }
        let sessions = RecordedSessions()
        try await withServer({ server in
            server.parents = [Parent("up", port: parent.port)]
            var inside = Route(.direct)
            inside.networks = [IPNetwork(.ipv4(IPv4Address(127, 0, 0, 2)))]
            inside.names = .local
            server.routes = [inside, Route(.parent("up"))]
            server.resolver.hosts = Self.hosts("two.test", ["127.0.0.2", "127.0.0.3"])
            server.observer = sessions
        }) { port in
            try expect(
                .connectionRefused,
                through: port,
                to: Destination(name: "two.test", port: target.port)
            )
            #expect(!target.hasConnection && !parent.listener.hasConnection)
            #expect(try sessions.next(after: 0).route == "route 1")
        }
    }

    /// Only the addresses decide which of them it takes; a peer may come from anywhere.
    @Test func aBindTakesNoRouteThatOnlyMayMatch() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        try await withServer({ server in
            server.parents = [Parent("up", port: parent.port)]
            var inside = Route(.direct)
            inside.networks = [IPNetwork(.ipv4(IPv4Address(127, 0, 0, 2)))]
            inside.names = .local
            server.routes = [inside, Route(.parent("up"))]
        }) { port in
            try expect(
                .commandNotSupported,
                through: port,
                to: Destination(name: "a.test", port: 80),
                by: .bind
            )
            #expect(!parent.listener.hasConnection)
            let client = TestThread { try expect(.succeeded, through: port, to: .unspecified, by: .bind) }
            let asked = try parent.accept()
            defer { asked.close() }
            #expect(try asked.takeRequest().command == .bind)
            try asked.send(SOCKSResponse(reply: .succeeded, boundAddress: .loopback(7)))
            try client.join()
        }
    }

    @Test func aNameThatIsLookedUpHereIsResolvedHere() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        try await withServer({ server in
            server.parents = [Parent("up", .http, port: parent.port)]
            var route = Route(.parent("up"))
            route.names = .local
            server.routes = [route]
            server.resolver.hosts = Self.hosts("one.test", ["127.0.0.2"])
        }) { port in
            try expect(.succeeded, through: port, to: Destination(name: "one.test", port: 80), by: .resolve)
            #expect(!parent.listener.hasConnection)
        }
    }
}
