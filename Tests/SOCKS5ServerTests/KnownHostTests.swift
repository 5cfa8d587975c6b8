import ProxyPolicy
import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server

/// Names whose addresses are in the configuration.
@Suite struct KnownHostTests {
    private struct Nobody: NameResolver {
        func resolve(_ name: String) -> ResolverAnswer { .now(.notFound) }
    }

    private static func hosts(_ configuration: inout Configuration) throws {
        let both = [IPAddress.ipv6(IPv6Address(high: 0, low: 1)), .ipv4(.loopback)]
        configuration.resolver.hosts = [
            try #require(HostName("here.test")): [.ipv4(.loopback)],
            try #require(HostName("both.test")): both,
        ]
        configuration.nameResolver = Nobody()
    }

    @Test func aKnownHostIsReachedWithoutALookup() async throws {
        try await withServer({ try? Self.hosts(&$0) }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            for (name, reply) in [
                ("here.test", Reply.succeeded), ("HERE.test.", .succeeded), ("both.test", .succeeded),
                ("x.here.test", .hostUnreachable),
            ] {
                try expect(reply, through: port, to: Destination(name: name, port: listener.port))
            }
        }
    }

    @Test func itsAddressesAreJudgedAsAnyOthers() async throws {
        try await withServer({
            try? Self.hosts(&$0)
            $0.destinationGuard.mode = .on
        }) { port in
            try expect(.notAllowed, through: port, to: Destination(name: "here.test", port: 80))
        }
    }

    @Test(
        arguments: [
            ([], "host a.test has 0 addresses; expected 1 to 64"),
            ([.ipv4(.any)], "host a.test has the address 0.0.0.0, where no host can be"),
            (Array(repeating: .ipv4(.loopback), count: 65), "host a.test has 65 addresses; expected 1 to 64"),
        ] as [([IPAddress], String)]
    )
    func invalidAddressesAreRefused(_ addresses: [IPAddress], _ told: String) throws {
        var configuration = Configuration()
        configuration.resolver.hosts = [try #require(HostName("a.test")): addresses]
        let error = #expect(throws: ProxyServerError.self) { try configuration.validate() }
        #expect(error?.description.contains(told) == true, "\(String(describing: error))")
    }

    @Test func thereIsRoomForTenThousand() throws {
        var configuration = Configuration()
        for number in 0..<Configuration.Resolver.mostHosts {
            configuration.resolver.hosts[try #require(HostName("h\(number).test"))] = [.ipv4(.loopback)]
        }
        try configuration.validate()
        configuration.resolver.hosts[try #require(HostName("one.more.test"))] = [.ipv4(.loopback)]
        #expect(throws: ProxyServerError.self) { try configuration.validate() }
    }
}
