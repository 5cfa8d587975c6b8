import Glibc
import SOCKS5Protocol
import TestSupport
import Testing

/// Names with several addresses, some of which don't answer, and the source addresses of connections.
@Suite(.inNamespace, .serialized) struct DialTests {
    private static func dead(_ count: Int) -> [String] { (0..<count).map { NetworkNamespace.deadHost($0) } }
    private static func dead6(_ count: Int) -> [String] { (0..<count).map { NetworkNamespace.deadHost6($0) } }

    /// A name server that knows `name.test`.
    private static func answering(
        _ addresses: [String]
    ) -> @Sendable (String) -> (DNSServer.Answer, afterMilliseconds: Int) {
        { name in name == "name.test" ? (.addresses(addresses), 0) : (.noSuchName, 0) }
    }

    @Test(arguments: [1, 3, 200]) func deadIPv6DoesNotHideLivingIPv4(_ count: Int) async throws {
        try await withNetwork(dns: Self.answering(Self.dead6(count) + [Network.live])) { network in
            let listener = try TestListener(host: Network.live)
            defer { listener.close() }
            let passed = try milliseconds {
                try network.expect(.succeeded, for: "name.test", listener.port)
            }
            #expect(passed < 1000)
            // Not before the first address had its time.
            #expect(passed >= 200)
        }
    }

    @Test func deadIPv4DoesNotHideLivingIPv6() async throws {
        let script = Self.answering(Self.dead(3) + [Network.live6])
        try await withNetwork(["--prefer", "4"], dns: script) { network in
            let listener = try TestListener(host: Network.live6)
            defer { listener.close() }
            let passed = try milliseconds {
                try network.expect(.succeeded, for: "name.test", listener.port)
            }
            #expect(passed < 1000)
        }
    }

    @Test func aLivingAddressAfterSeveralDeadOnesIsFound() async throws {
        try await withNetwork(["--prefer", "4"], dns: Self.answering(Self.dead(7) + [Network.live6])) {
            network in
            let listener = try TestListener(host: Network.live6)
            defer { listener.close() }
            try network.expect(.succeeded, for: "name.test", listener.port)
        }
        // All of one family, and the live one isn't the first, wherever the resolver sorts it.
        try await withNetwork(dns: Self.answering(Self.dead(7) + [Network.live])) { network in
            let listener = try TestListener(host: Network.live)
            defer { listener.close() }
            try network.expect(.succeeded, for: "name.test", listener.port)
        }
    }

    @Test func theReplyIsTheMostTellingOne() async throws {
        // A refused connection beats a silent one: at the time limit, and when all attempts have failed.
        let refused = Self.answering([Network.live] + Self.dead(1) + Self.dead6(1))
        // The lookup counts too, and is slow under a sanitizer.
        let limit = ["--dial-timeout", isQuick ? "5" : "1"]
        try await withNetwork(limit, dns: refused) { network in
            try network.expect(.connectionRefused, for: "name.test", 9)
        }
        try await withNetwork(limit, dns: Self.answering(Self.dead(2))) { network in
            try network.expect(.ttlExpired, for: "name.test", 9)
        }
        try await withNetwork(dns: Self.answering(["192.0.2.1", "192.0.2.2"])) { network in
            try network.expect(.networkUnreachable, for: "name.test", 9)
        }
        try await withNetwork(
            dns: Self.answering(["192.0.2.1", "192.0.2.2"]),
            prepare: { namespace in
                try namespace.ip("route", "add", "unreachable", "192.0.2.2/32")
            }
        ) { network in
            try network.expect(.hostUnreachable, for: "name.test", 9)
        }
    }

    @Test func aNameWithHundredsOfAddressesKeepsFewDescriptors() async throws {
        let arguments = ["--workers", "1", "--dial-timeout", "3"]
        try await withNetwork(arguments, dns: Self.answering(Self.dead(200))) { network in
            // libuv opens another descriptor with a loop's first stream, and keeps it.
            try network.expect(.hostUnreachable, for: "nowhere.test")
            let base = network.server.descriptorCount
            let client = try network.ask("name.test")
            defer { client.close() }
            var most = 0
            while !client.isReadable(atLeast: 12) {
                most = max(most, network.server.descriptorCount)
                usleep(5000)
            }
            #expect(try client.reply() == .ttlExpired)
            // The client and four attempts; for a moment a fifth, and the sockets of the lookup.
            #expect((3...8).contains(most - base), "\(most - base)")
            client.endSending()
            try client.waitForClose()
            try eventually("descriptors are back at their base") { network.server.descriptorCount <= base }
        }
        try await withNetwork(dns: Self.answering((1...200).map { "127.0.1.\($0)" })) { network in
            try network.expect(.connectionRefused, for: "name.test", 9)
        }
    }

    @Test func aClientThatLeavesEndsAllAttemptsOfItsDial() async throws {
        try await withNetwork(["--workers", "1"], dns: Self.answering(Self.dead(5))) { network in
            try network.expect(.hostUnreachable, for: "nowhere.test")
            let base = network.server.descriptorCount
            let client = try network.ask("name.test")
            try eventually("two attempts run") { network.server.descriptorCount >= base + 3 }
            client.close()
            try eventually(within: 5, "they are gone") { network.server.descriptorCount <= base }
        }
    }

    // MARK: - Families

    @Test(
        arguments: [
            ([], [Network.live6]), (["--prefer", "6"], [Network.live6]), (["--prefer", "4"], [Network.live]),
            (["--only", "6"], [Network.live6]), (["--only", "4"], [Network.live]),
        ] as [([String], [String])]
    )
    func theConfiguredFamilyIsUsed(_ arguments: [String], _ expected: [String]) async throws {
        for name in ["name.test", "NAME.test."] {
            try await withNetwork(arguments, dns: Self.answering([Network.live, Network.live6])) { network in
                let listener = try TestListener(host: "::")
                defer { listener.close() }
                let client = try network.ask(name, listener.port)
                defer { client.close() }
                #expect(try client.reply() == .succeeded)
                let target = try listener.accept()
                defer { target.close() }
                #expect(target.localHost.hasSuffix(expected[0]), "\(target.localHost)")
            }
        }
    }

    @Test(arguments: ["4", "6"]) func aTargetOfTheOtherFamilyOnlyIsOfAnAddressTypeNotSupported(_ only: String)
        async throws
    {
        let other = only == "4" ? Network.live6 : Network.live
        try await withNetwork(["--only", only], dns: Self.answering([other])) { network in
            try network.expect(.addressTypeNotSupported, for: "name.test")
            try network.expect(.addressTypeNotSupported, for: other)
            let literal = try network.ask(only == "4" ? .loopback6(80) : .loopback(80))
            defer { literal.close() }
            #expect(try literal.reply() == .addressTypeNotSupported)
        }
    }

    // MARK: - Egress

    @Test func connectionsComeFromTheAddressOfTheirFamily() async throws {
        let arguments = ["--egress-address", "127.0.0.7", "--egress-address", Network.live6]
        try await withNetwork(arguments) { network in
            let listener = try TestListener(host: "::")
            defer { listener.close() }
            for (host, source) in [("127.0.0.1", "127.0.0.7"), ("::1", Network.live6)] {
                let client = try network.ask(host, listener.port)
                defer { client.close() }
                #expect(try client.reply() == .succeeded)
                let target = try listener.accept()
                defer { target.close() }
                #expect(target.peerHost.hasSuffix(source), "\(target.peerHost)")
            }
        }
    }

    /// With a port bound beforehand, an address would have only one port per connection, regardless of the target.
    @Test func anEgressAddressHasItsPortsForEachTarget() async throws {
        try await withNetwork(
            ["--egress-address", "127.0.0.7"],
            prepare: { namespace in
                let range = "echo 40000 40009 > /proc/sys/net/ipv4/ip_local_port_range"
                let result = try ChildProcess(namespace.launcher + ["sh", "-c", range]).waitForEnd()
                #expect(result.exitCode == 0, "\(result.errors)")
            }
        ) { network in
            let listeners = try (0..<4).map { _ in try TestListener(host: "127.0.0.1") }
            defer { for listener in listeners { listener.close() } }
            var clients: [TestSocket] = []
            defer { for client in clients { client.close() } }
            for number in 0..<16 {
                // The clients need ports too, so each has its own address.
                clients.append(
                    try network.ask("127.0.0.1", listeners[number % 4].port, from: "127.0.1.\(number + 1)")
                )
                #expect(try clients[number].reply() == .succeeded, "connection \(number)")
            }
        }
    }

    @Test func connectionsGoThroughTheInterface() async throws {
        try await withNetwork(["--egress-interface", NetworkNamespace.deadInterface, "--dial-timeout", "1"]) {
            network in
            let listener = try TestListener(host: Network.live)
            defer { listener.close() }
            try network.expect(.ttlExpired, for: Network.live, listener.port)
            #expect(!listener.hasConnection)
        }
    }

    @Test(arguments: ["7", "0x7"]) func connectionsHaveTheMark(_ mark: String) async throws {
        try await withNetwork(
            ["--egress-mark", mark, "--dial-timeout", "1"],
            prepare: { namespace in
                try namespace.ip("rule", "add", "fwmark", "7", "lookup", "99", "pref", "10")
                try namespace.ip("route", "add", "unreachable", "198.51.100.0/24", "table", "99")
            }
        ) { network in
            try network.expect(.hostUnreachable, for: NetworkNamespace.deadHost())
        }
    }
}
