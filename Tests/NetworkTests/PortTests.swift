import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// A shortage of local ports, as opposed to a lack of local addresses.
@Suite(.inNamespace, .serialized) struct PortTests {
    /// Runs a shell command inside.
    private static func run(_ command: String, _ namespace: NetworkNamespace) throws {
        let result = try ChildProcess(namespace.launcher + ["sh", "-c", command]).waitForEnd()
        #expect(result.exitCode == 0, "\(result.errors)")
    }

    /// Limits the ports that the system can choose from.
    private static func limitPorts(_ namespace: NetworkNamespace) throws {
        try run("echo 40000 40009 > /proc/sys/net/ipv4/ip_local_port_range", namespace)
    }

    @Test(arguments: [[], ["--egress-address", "127.0.0.7", "--egress-address", Network.live6]])
    func withoutAFreeLocalPortAConnectionIsAGeneralFailure(_ arguments: [String]) async throws {
        try await withNetwork(arguments, prepare: Self.limitPorts) { network in
            for target in ["127.0.0.1", Network.live6] {
                let listener = try TestListener(host: target, port: 30_000)
                defer { listener.close() }
                var clients: [TestSocket] = []
                defer { for client in clients { client.close() } }
                // Each client has an address of its own, since it needs a port too. The server's own port, and bound
                // ones, can't be used.
                var replies: [Reply] = []
                while replies.last != .generalFailure && replies.count < 20 {
                    let client = try network.ask(target, listener.port, from: "127.0.1.\(replies.count + 1)")
                    clients.append(client)
                    replies.append(try client.reply())
                }
                #expect(
                    replies.dropLast().allSatisfy { $0 == .succeeded } && (5...11).contains(replies.count)
                )
                for number in 1...3 {
                    try network.expect(.generalFailure, for: target, listener.port, from: "127.0.2.\(number)")
                }
            }
            let line = try network.server.waitForLine(containing: " no local port is free ")
            #expect(line.contains(" warning ") && line.contains("net.ipv4.ip_local_port_range"), "\(line)")
        }
    }

    @Test func anEgressAddressThatTheMachineHasLostIsANetworkNotToBeReached() async throws {
        try await withNetwork(["--egress-address", Network.live]) { network in
            let listener = try TestListener()
            defer { listener.close() }
            try network.expect(.succeeded, for: "127.0.0.1", listener.port)
            try network.namespace.ip("address", "del", "\(Network.live)/32", "dev", "lo")
            try network.expect(.networkUnreachable, for: "127.0.0.1", listener.port)
        }
    }

    @Test func withoutAnIPv6AddressOfItsOwnAnIPv6NetworkIsNotToBeReached() async throws {
        try await withNetwork { network in
            // A route, but no source address.
            let interface = NetworkNamespace.deadInterface
            try network.namespace.ip("-6", "address", "flush", "dev", interface)
            try network.namespace.ip("-6", "address", "flush", "dev", "lo")
            try network.namespace.ip("-6", "route", "replace", "default", "dev", interface)
            try network.expect(.networkUnreachable, for: "2001:db8:5::1")
        }
    }

    @Test func portsOfUDPThatHaveRunOutAreNamedInTheLog() async throws {
        try await withNetwork(["--udp-ports", "20000-20001"]) { network in
            let associations = try (0..<2).map { _ in try TestAssociation(through: network.port) }
            defer { for association in associations { association.close() } }
            try Self.expectGeneralFailures(.udpAssociate, network)
            let line = try network.server.waitForLine(containing: " no local port is free ")
            #expect(line.contains("setting=udp.ports") && line.contains("ports=20000-20001"), "\(line)")
        }
    }

    @Test func portsOfBindThatHaveRunOutAreNamedInTheLog() async throws {
        try await withNetwork(["--bind-ports", "20000-20000"]) { network in
            let taken = try TestListener(port: 20_000)
            defer { taken.close() }
            try Self.expectGeneralFailures(.bind, network)
            let line = try network.server.waitForLine(containing: " no local port is free ")
            #expect(line.contains("setting=bind.ports") && line.contains("ports=20000-20000"), "\(line)")
        }
    }

    private static func expectGeneralFailures(_ command: SOCKSCommand, _ network: Network) throws {
        for _ in 0..<3 {
            let client = try TestSocket(connectingTo: network.port)
            defer { client.close() }
            #expect(try client.request(command, .unspecified).reply == .generalFailure)
        }
    }
}
