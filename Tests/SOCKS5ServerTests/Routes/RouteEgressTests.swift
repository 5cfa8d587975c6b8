import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// The source addresses of a route's connections.
@Suite struct RouteEgressTests {
    private static func egress(_ texts: [String], _ choice: EgressChoice = .random) throws
        -> Configuration.Egress
    {
        var egress = Configuration.Egress()
        egress.addresses = try texts.map { try IPNetwork(parsing: $0) }
        egress.choose = choice
        return egress
    }

    private static func route(_ egress: Configuration.Egress, to target: TestListener? = nil) -> Route {
        var route = Route(.direct)
        route.egress = egress
        route.ports = target.map { [PortRange(UInt16($0.port))] }
        return route
    }

    private static func source(of target: TestListener, at port: Int) throws -> String {
        let client = try TestSocket.tunnel(through: port, to: .loopback(target.port))
        defer { client.close() }
        let accepted = try target.accept()
        defer { accepted.close() }
        return accepted.peerHost
    }

    @Test func aRouteHasAPoolOfItsOwn() async throws {
        let (routed, other) = (try TestListener(), try TestListener())
        defer { routed.close(); other.close() }
        try await withServerObject({
            $0.egress = try Self.egress(["127.0.0.9"])
            $0.routes = [Self.route(try Self.egress(["127.0.1.0/30"], .roundRobin), to: routed)]
        }) { _, port in
            let seen = try (0..<3).map { _ in try Self.source(of: routed, at: port) }
            #expect(seen == ["127.0.1.1", "127.0.1.2", "127.0.1.1"])
            #expect(try Self.source(of: other, at: port) == "127.0.0.9")
        }
    }

    @Test func aRouteLeavesByTheAddressThatTheClientHasReached() async throws {
        let target = try TestListener()
        defer { target.close() }
        try await withServerObject({
            $0.routes = [Self.route(try Self.egress(["127.0.0.1", "127.0.0.2"], .incoming))]
        }) { _, port in
            let seen = try (0..<8).map { _ in try Self.source(of: target, at: port) }
            #expect(seen.allSatisfy { $0 == "127.0.0.1" }, "\(seen)")
        }
    }

    @Test func aRouteByAnAddressThatIsNotThereIsRefusedAtTheStartAndByAReload() async throws {
        let foreign = Self.route(try Self.egress(["127.0.0.1", "192.0.2.1"]))
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        let good = configuration
        configuration.routes = [foreign]
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        let error = await #expect(throws: ProxyServerError.self) { try await server.start() }
        #expect(error?.code == .addressNotAvailable)
        #expect(error?.description.hasPrefix("route: 192.0.2.1 is not an address") == true, "\(error as Any)")

        let other = try ProxyServer(configuration: good, logger: suiteLogger)
        try await other.start()
        #expect(throws: ProxyServerError.self) { try other.reload(configuration) }
        await other.stop(grace: .zero)
    }
}
