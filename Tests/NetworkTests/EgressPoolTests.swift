import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// The addresses of a pool that targets see, in a network whose routes lead its prefixes to this machine.
@Suite(.inNamespace, .serialized) struct EgressPoolTests {
    private static let prefix = "198.18.5.0/29"
    private static let prefix6 = "2001:db8:5::/64"

    @Sendable private static func route(_ namespace: NetworkNamespace) throws {
        try namespace.ip("route", "add", "local", prefix, "dev", "lo")
        try namespace.ip("-6", "route", "add", "local", prefix6, "dev", "lo")
    }

    /// The sources of connections to one target, one after the other.
    private static func sources(_ count: Int, to host: String, _ network: Network) throws -> [String] {
        let listener = try TestListener(host: host)
        defer { listener.close() }
        return try (0..<count).map { _ in
            let client = try network.ask(host, listener.port)
            defer { client.close() }
            guard try client.reply() == .succeeded else { throw TestFailure("no connection to \(host)") }
            let target = try listener.accept()
            defer { target.close() }
            return target.peerHost
        }
    }

    @Test func connectionsComeFromAllAddressesOfAPrefixByTurns() async throws {
        let arguments = ["--egress-address", Self.prefix, "--egress-choose", "round-robin"]
        try await withNetwork(arguments, prepare: Self.route) { network in
            let seen = try Self.sources(7, to: Network.live, network)
            #expect(seen == (1...6).map { "198.18.5.\($0)" } + ["198.18.5.1"])
        }
    }

    @Test func anIPv6PrefixThatNoInterfaceHasIsUsed() async throws {
        let arguments = ["--egress-address", Self.prefix6, "--egress-address", "127.0.0.7"]
        try await withNetwork(arguments, prepare: Self.route) { network in
            let seen = try Self.sources(4, to: Network.live6, network)
            #expect(Set(seen).count == 4)
            #expect(seen.allSatisfy { $0.hasPrefix("2001:db8:5:") }, "\(seen)")
            let seenIPv4 = try Self.sources(2, to: "127.0.0.1", network)
            #expect(seenIPv4 == ["127.0.0.7", "127.0.0.7"])
        }
    }

    @Test func aUserKeepsOneAddressOfThePrefix() async throws {
        let arguments = ["--egress-address", Self.prefix6, "--egress-choose", "same-for-user"]
        try await withNetwork(arguments, prepare: Self.route) { network in
            let seen = try Self.sources(4, to: Network.live6, network)
            #expect(Set(seen).count == 1 && seen[0].hasPrefix("2001:db8:5:"), "\(seen)")
        }
    }

    @Test func anAssociationKeepsItsAddressOfEachFamily() async throws {
        let arguments = ["--egress-address", Self.prefix, "--egress-address", Self.prefix6]
        try await withNetwork(arguments, prepare: Self.route) { network in
            var first: Set<String> = []
            for _ in 0..<4 {
                let association = try TestAssociation(through: network.port)
                defer { association.close() }
                for (host, start) in [(Network.live, "198.18.5."), (Network.live6, "[2001:db8:5:")] {
                    let target = try TestDatagramSocket(host: host)
                    defer { target.close() }
                    let seen = try (0..<3).map { _ in
                        try association.send([1], to: target.address)
                        let source = try target.receive().source
                        try target.send([2], to: source)
                        _ = try association.receive()
                        return source.description
                    }
                    #expect(Set(seen).count == 1 && seen[0].hasPrefix(start), "\(seen)")
                    first.insert(seen[0])
                }
            }
            #expect(first.count > 2)
        }
    }

    @Test(arguments: [Network.live, Network.live6])
    func bindListensOnAnAddressOfThePrefix(_ peer: String) async throws {
        let arguments = ["--egress-address", Self.prefix, "--egress-address", Self.prefix6]
        try await withNetwork(arguments, prepare: Self.route) { network in
            let client = try TestSocket(connectingTo: network.port)
            defer { client.close() }
            let bound = try client.request(.bind, Destination(numeric: peer, port: 0)).boundAddress
            #expect(bound.description.contains(peer.contains(":") ? "2001:db8:5:" : "198.18.5."), "\(bound)")
            let host = String(bound.description.prefix { $0 != "]" }.drop { $0 == "[" })
            let address = peer.contains(":") ? host : String(host.prefix { $0 != ":" })
            let caller = try TestSocket(connectingTo: Int(bound.port), host: address, from: peer)
            defer { caller.close() }
            let second = try client.receive(SOCKSResponse.self)
            #expect(second.reply == .succeeded && second.boundAddress.description.contains(peer))
        }
    }

    @Test func aPrefixNeedsNoRouteForTheStart() async throws {
        try await withNetwork(["--egress-address", Self.prefix6]) { network in
            let listener = try TestListener()
            defer { listener.close() }
            try network.expect(.succeeded, for: "127.0.0.1", listener.port)
        }
    }
}
