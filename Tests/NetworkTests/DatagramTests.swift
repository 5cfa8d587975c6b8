import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// Datagrams to names, and the way that they leave by.
@Suite(.inNamespace, .serialized) struct DatagramTests {
    @Test func aSlowNameDelaysNoOtherDatagramAndItsQueueIsBounded() async throws {
        try await withNetwork(dns: { _ in (.addresses([Network.live]), 1500) }) { network in
            let association = try TestAssociation(through: network.port)
            defer { association.close() }
            let target = try TestDatagramSocket(host: Network.live)
            defer { target.close() }
            let slow = Destination(name: "slow.test", port: target.port)
            for number in UInt8(0)..<40 { try association.send([number], to: slow) }
            let passed = try milliseconds {
                for number in UInt8(100)..<110 {
                    try association.send([number], to: target.address)
                    let received = try target.receive().bytes
                    #expect(received == [number])
                }
            }
            #expect(passed < 500)
            for number in UInt8(0)..<16 {
                let received = try target.receive().bytes
                #expect(received == [number])
            }
            // Further datagrams were dropped; the answer is kept for the next one.
            let questions = network.dns.questions.count
            try association.send([50], to: slow)
            let received = try target.receive().bytes
            #expect(received == [50] && network.dns.questions.count == questions)
        }
    }

    @Test func namesThatAreStuckAreBoundedAndEndWithTheAssociation() async throws {
        try await withNetwork(
            resolver: "options timeout:30 attempts:1",
            dns: { name in name.hasPrefix("stuck") ? (.silence, 0) : (.addresses([Network.live]), 0) }
        ) { network in
            let association = try TestAssociation(through: network.port)
            let target = try TestDatagramSocket(host: Network.live)
            defer { target.close() }
            for number in 0..<1000 {
                try association.send([1], to: Destination(name: "stuck\(number).test", port: 7))
                // No more at once than the socket can hold.
                if number % 50 == 0 { try association.expectEcho(of: [2], from: target) }
            }
            try association.expectEcho(of: [3], from: target)
            func asked() -> Set<String> { Set(network.dns.questions.map(\.name)) }
            try eventually("the first lookups") { asked().count >= 8 }
            #expect(asked() == Set((0..<8).map { "stuck\($0).test" }))
            association.close()
            // Requests that were stuck no longer matter.
            let other = try TestAssociation(through: network.port)
            defer { other.close() }
            try other.send([4], to: Destination(name: "quick.test", port: target.port))
            let received = try target.receive().bytes
            #expect(received == [4])
        }
    }

    @Test(arguments: [["--only", "6"], ["--only", "4"], ["--prefer", "6"], ["--prefer", "4"]])
    func theConfiguredFamilyIsUsed(_ arguments: [String]) async throws {
        let isIPv6 = arguments[1] == "6"
        try await withNetwork(arguments, dns: { _ in (.addresses([Network.live, Network.live6]), 0) }) {
            network in
            let association = try TestAssociation(through: network.port)
            defer { association.close() }
            let target4 = try TestDatagramSocket(host: Network.live)
            defer { target4.close() }
            let target6 = try TestDatagramSocket(host: Network.live6, port: target4.port)
            defer { target6.close() }
            let (wanted, other) = isIPv6 ? (target6, target4) : (target4, target6)
            try association.send([1], to: Destination(name: "both.test", port: wanted.port))
            let received = try wanted.receive().bytes
            #expect(received == [1])
            if arguments[0] == "--only" { try association.send([2], to: other.address) }
            try association.expectEcho(of: [3], from: wanted)
            #expect(!other.hasDatagram)
        }
    }

    /// The system refuses to send such a series as one message.
    @Test(arguments: ["127.0.0.1", "::1"])
    func datagramsAtOnceThatMustBeFragmentedAllArrive(_ host: String) async throws {
        try await withNetwork(prepare: { try $0.ip("link", "set", "dev", "lo", "mtu", "1280") }) { network in
            let association = try TestAssociation(through: network.port)
            defer { association.close() }
            let target = try TestDatagramSocket(host: host)
            defer { target.close() }
            let datagrams = (UInt8(0)..<16).map { [UInt8](repeating: $0, count: 1300) }
            // Both sides' sockets are known to the server before it is stopped.
            try association.send([], to: target.address)
            let source = try target.receive().source
            try network.server.whileStopped {
                for datagram in datagrams { try association.send(datagram, to: target.address) }
            }
            for datagram in datagrams {
                let received = try target.receive().bytes
                #expect(received == datagram)
            }
            try network.server.whileStopped {
                for datagram in datagrams { try target.send(datagram, to: source) }
            }
            for datagram in datagrams {
                let received = try association.receive().payload
                #expect(received == datagram)
            }
        }
    }

    @Test func datagramsLeaveByTheAddressThatConnectionsDo() async throws {
        let arguments = ["--egress-address", "127.0.0.7", "--egress-address", Network.live6]
        try await withNetwork(arguments) { network in
            let association = try TestAssociation(through: network.port)
            defer { association.close() }
            for (host, source) in [("127.0.0.1", "127.0.0.7"), ("::1", Network.live6)] {
                let target = try TestDatagramSocket(host: host)
                defer { target.close() }
                try association.send([1], to: target.address)
                let seen = try target.receive().source
                let expected = try Destination(numeric: source, port: Int(seen.port))
                #expect(seen == expected)
            }
        }
    }

    @Test func datagramsLeaveByTheInterfaceThatConnectionsDo() async throws {
        try await withNetwork([
            "--egress-interface", NetworkNamespace.deadInterface, "--udp-idle-timeout", "500ms",
            "--log-level", "info",
        ]) { network in
            let association = try TestAssociation(through: network.port)
            defer { association.close() }
            let target = try TestDatagramSocket(host: Network.live)
            defer { target.close() }
            for _ in 0..<10 { try association.send([1], to: target.address) }
            let line = try network.server.waitForLine(containing: " info session ended ")
            #expect(line.contains(" sent=10"), "\(line)")
            #expect(!target.hasDatagram)
        }
    }
}
