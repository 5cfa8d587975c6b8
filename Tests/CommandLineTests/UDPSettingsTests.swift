import SOCKS5Protocol
import TestSupport
import Testing

/// The flags and variables of UDP ASSOCIATE, seen from outside.
@Suite struct UDPSettingsTests {
    @Test(arguments: Origin.allCases) func noUDP(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("no-udp", by: origin)) { _, port in
            let reply = try reply(at: port)
            #expect(reply == .commandNotSupported)
        }
    }

    @Test(arguments: Origin.allCases) func udpPorts(_ origin: Origin) async throws {
        let ports = try freePorts(2)
        let range = "\(ports.lowerBound)-\(ports.upperBound)"
        try await withSocks5d(Invocation("udp-ports", range, by: origin)) { _, port in
            let associations = try (0..<2).map { _ in try TestAssociation(through: port) }
            defer { for association in associations { association.close() } }
            #expect(Set(associations.map(\.bound.port)) == Set(ports))
            let reply = try reply(at: port)
            #expect(reply == .generalFailure)
        }
    }

    @Test(arguments: Origin.allCases) func advertise(_ origin: Origin) async throws {
        let both =
            origin == .flag
            ? Invocation("--advertise", "192.0.2.7", "--advertise", "2001:db8::7")
            : Invocation([], environment: ["SOCKS5D_ADVERTISE": "192.0.2.7, 2001:db8::7"])
        let listen = Invocation("--listen", "127.0.0.1:0", "--listen", "[::1]:0")
        try await withSocks5d(both.adding(listen)) { child, port in
            let port6 = try #require(Int(child.waitForLine("listening on [::1]:")))
            for (port, host, told) in [(port, "127.0.0.1", "192.0.2.7"), (port6, "::1", "2001:db8::7")] {
                let connection = try TestSocket(connectingTo: port, host: host)
                defer { connection.close() }
                let bound = try connection.request(.udpAssociate, .unspecified).boundAddress
                let expected = try Destination(numeric: told, port: Int(bound.port))
                #expect(bound == expected && bound.port != 0)
            }
        }
    }

    @Test(arguments: Origin.allCases) func udpFiltering(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("udp-filtering", "endpoint", by: origin)) { _, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            let stranger = try TestDatagramSocket(host: "127.0.0.2")
            defer { stranger.close() }
            try association.send([1], to: target.address)
            let mapped = try target.receive().source
            try stranger.send([2], to: mapped)
            let (payload, source) = try association.receive()
            #expect(payload == [2] && source == stranger.address)
        }
    }

    @Test(arguments: Origin.allCases) func udpIdleTimeout(_ origin: Origin) async throws {
        try await withSocks5d(Invocation("udp-idle-timeout", "200ms", by: origin)) { _, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            try association.connection.waitForClose()
        }
    }

    @Test(arguments: ["", "0", "0-5", "70000", "1-70000", "5-4", "1-2-3", "-", "5-", "+5", "a-b"])
    func badPortsAreShownWithTheExpectedForm(_ ports: String) async throws {
        for origin in Origin.allCases {
            try await expectRefusal(
                of: Invocation("udp-ports", ports, by: origin),
                exitCode: origin.exitCode,
                saying:
                    "\(origin.name(of: "udp-ports")) is '\(ports)'; expected a port or a range from 1 to 65535, as 20000-20999"
            )
        }
    }

    @Test(arguments: Origin.allCases) func badFilteringIsRefusedWithTheValidValues(_ origin: Origin)
        async throws
    {
        try await expectRefusal(
            of: Invocation("udp-filtering", "cone", by: origin),
            exitCode: origin.exitCode,
            saying: "\(origin.name(of: "udp-filtering")) is 'cone'; expected address or endpoint"
        )
    }

    @Test func anAssociationIsALineInTheLog() async throws {
        try await withSocks5d(Invocation("--log-level", "info")) { child, port in
            let association = try TestAssociation(through: port)
            let target = try TestDatagramSocket()
            defer { target.close() }
            for length in [0, 10, 100] {
                try association.expectEcho(of: [UInt8](repeating: 1, count: length), from: target)
            }
            association.close()
            let line = try child.waitForLine(containing: " info session ended ")
            for field in [
                " command=udp-associate ", " outcome=completed ", " sent=110", " received=110",
            ] {
                #expect(line.contains(field), "\(line)")
            }
        }
    }

    private func reply(at port: Int) throws -> Reply {
        let connection = try TestSocket(connectingTo: port)
        defer { connection.close() }
        return try connection.request(.udpAssociate, .unspecified).reply
    }
}
