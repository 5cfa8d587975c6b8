import Glibc
import SOCKS5Protocol
import Synchronization
import TestSupport
import Testing

private final class Flag: Sendable {
    let value = Atomic<Bool>(false)
}

/// Names against a name server that is slow, silent or wrong.
@Suite(.inNamespace, .serialized) struct NameTests {
    @Test func aHundredClientsOfOneNameCauseOneLookup() async throws {
        try await withNetwork(["--workers", "3"], dns: { _ in (.addresses([Network.live]), 300) }) {
            network in
            let listener = try TestListener(host: Network.live)
            defer { listener.close() }
            for _ in 0..<2 {
                let clients = try (0..<100).map {
                    try network.ask("One.Test", listener.port, from: "127.0.0.\($0 + 2)")
                }
                for client in clients {
                    #expect(try client.reply() == .succeeded)
                    client.close()
                }
            }
            let questions = network.dns.questions
            #expect(questions.count == 2, "\(questions)")
            #expect(
                Set(questions.map(\.name)) == ["one.test"] && Set(questions.map(\.isIPv6)) == [false, true]
            )
        }
    }

    @Test func aSlowNameDelaysNoOtherClient() async throws {
        try await withNetwork(dns: { name in
            (.addresses([Network.live]), name.hasPrefix("slow") ? 5000 : 0)
        }) { network in
            let listener = try TestListener(host: Network.live)
            defer { listener.close() }
            // A hundred names, more than can be looked up at once.
            let slow = try (0..<100).map { try network.ask("slow\($0).test", listener.port) }
            let passed = try milliseconds {
                try network.expect(.succeeded, for: "quick.test", listener.port, from: "127.0.0.2")
                try network.expect(.succeeded, for: Network.live, listener.port)
            }
            #expect(passed < 3000)
            #expect(try slow[0].reply() == .succeeded)
            for client in slow { client.close() }
        }
    }

    @Test func aThousandStuckNamesOfOneClientDelayNoOtherClient() async throws {
        try await withNetwork(
            resolver: "options timeout:30 attempts:1",
            dns: { name in
                name.hasPrefix("stuck") ? (.silence, 0) : (.addresses([Network.live]), 0)
            }
        ) { network in
            let listener = try TestListener(host: Network.live)
            defer { listener.close() }
            let stuck = try (0..<1000).map { try network.ask("stuck\($0).test", from: "127.0.0.2") }
            defer { for client in stuck { client.close() } }
            for client in stuck { #expect(try client.receive(2) == [5, 0]) }
            // Requests that may not even wait are answered; then all others are in their places.
            let places = 64 + 256
            try eventually("as many are refused as find no place") {
                stuck.count { $0.hasBytes } >= stuck.count - places
            }
            let refused = try #require(stuck.last { $0.hasBytes })
            #expect(try refused.receive(SOCKSResponse.self).reply == .generalFailure)
            for number in 0..<5 {
                let address = try milliseconds {
                    try network.expect(.succeeded, for: Network.live, listener.port, from: "127.0.0.3")
                }
                #expect(address < 500)
                let name = try milliseconds {
                    try network.expect(
                        .succeeded,
                        for: "healthy\(number).test",
                        listener.port,
                        from: "127.0.0.3"
                    )
                }
                #expect(name < 3000)
            }
            #expect(Set(network.dns.questions.map(\.name)).count { $0.hasPrefix("stuck") } <= 64)
        }
    }

    @Test func twoHundredNamesAreLookedUpSideBySide() async throws {
        try await withNetwork(dns: { _ in (.addresses([Network.live]), 20) }) { network in
            let listener = try TestListener(host: Network.live)
            defer { listener.close() }
            let passed = try milliseconds {
                let clients = try (0..<200).map {
                    try network.ask("name\($0).test", listener.port, from: "127.0.0.\(2 + $0 % 4)")
                }
                for client in clients {
                    #expect(try client.reply() == .succeeded)
                    client.close()
                }
            }
            // One after the other would take 4 s.
            #expect(passed < 2000)
        }
    }

    @Test(arguments: [
        DNSServer.Answer.failure, .noSuchName, .silence, .addresses([]),
    ])
    func aNameWithoutAnAnswerIsAHostNotToBeReached(_ answer: DNSServer.Answer) async throws {
        try await withNetwork(resolver: "options timeout:1 attempts:1", dns: { _ in (answer, 0) }) {
            network in
            try network.expect(.hostUnreachable, for: "name.test")
        }
    }

    @Test func aNameThatIsNotFoundInTimeIsAnUnreachableHost() async throws {
        try await withNetwork(["--dial-timeout", "500ms"], dns: { _ in (.silence, 0) }) { network in
            try network.expect(.hostUnreachable, for: "name.test")
        }
    }

    @Test func aNameThatIsNotFoundIsAskedForAgainLater() async throws {
        try await withNetwork { network in
            for _ in 0..<3 { try network.expect(.hostUnreachable, for: "nowhere.test") }
            #expect(network.dns.questions.count { $0.name == "nowhere.test" } <= 2)
            try eventually("the miss is forgotten") {
                try network.expect(.hostUnreachable, for: "nowhere.test")
                return network.dns.questions.count { $0.name == "nowhere.test" } > 2
            }
        }
    }

    /// Otherwise `secret` passes a rule about `secret.corp.test`, and leads there.
    @Test(arguments: [false, true])
    func theSearchListIsTriedOnlyIfASettingSaysSo(_ isWanted: Bool) async throws {
        let file = Array("resolver: {search-list: \(isWanted)}\n".utf8)
        try await withFile(file) { path in
            try await withNetwork(
                ["--config", path],
                resolver: "search corp.test other.test\noptions ndots:2 timeout:1 attempts:1",
                dns: { name in (name.hasSuffix("corp.test") ? .addresses([Network.live]) : .noSuchName, 0) }
            ) { network in
                let listener = try TestListener(host: Network.live)
                defer { listener.close() }
                for name in ["secret", "secret.", "a.b"] {
                    let expected: Reply = isWanted ? .succeeded : .hostUnreachable
                    try network.expect(expected, for: name, listener.port)
                }
                if !isWanted { #expect(Set(network.dns.questions.map(\.name)) == ["secret", "a.b"]) }
            }
        }
    }

    /// Docker writes the names of `extra_hosts` and of containers there.
    @Test func singleLabelNamesOfTheHostsFileAreFound() async throws {
        let hosts = "127.0.0.1 localhost\n\(Network.live) db Web.internal"
        try await withNetwork(hosts: hosts, dns: { _ in (.noSuchName, 0) }) { network in
            let listener = try TestListener(host: Network.live)
            defer { listener.close() }
            for name in ["db", "DB", "db.", "web.internal", "WEB.INTERNAL."] {
                try network.expect(.succeeded, for: name, listener.port)
            }
            #expect(network.dns.questions.isEmpty)
        }
    }

    /// A container that returns with another address, while its old one doesn't answer.
    @Test func aHostThatHasMovedFromAnAddressThatFallsSilentIsFoundInTime() async throws {
        let hasMoved = Flag()
        try await withNetwork(dns: { _ in
            (.addresses([hasMoved.value.load(ordering: .relaxed) ? "127.0.0.9" : Network.live]), 0)
        }) { network in
            let listener = try TestListener(host: Network.live)
            try network.expect(.succeeded, for: "name.test", listener.port)
            listener.close()
            try network.namespace.ip("address", "del", "\(Network.live)/32", "dev", "lo")
            try network.namespace.ip(
                "route",
                "add",
                "\(Network.live)/32",
                "dev",
                NetworkNamespace.deadInterface
            )
            hasMoved.value.store(true, ordering: .relaxed)
            let moved = try TestListener(host: "127.0.0.9", port: listener.port)
            defer { moved.close() }
            let passed = try milliseconds {
                try network.expect(.succeeded, for: "name.test", listener.port)
            }
            // Not before the old address had its second.
            #expect(passed >= 900 && passed < 5000)
            #expect(network.dns.questions.count == 4)
        }
    }

    @Test func aNameWhoseAddressesGaveNoAnswerInTimeIsLookedUpByTheNextClient() async throws {
        // Less than the second after which an address without an answer makes the name be looked up again.
        let arguments = ["--dial-timeout", "900ms"]
        let dead = NetworkNamespace.deadHost()
        try await withNetwork(arguments, dns: { _ in (.addresses([dead]), 0) }) { network in
            for _ in 0..<3 { try network.expect(.ttlExpired, for: "name.test") }
            // The first request found no cached answer; the second one found it, and forgot it.
            #expect(network.dns.questions.count == 4)
        }
    }

    @Test func aLeavingWaiterDoesNotTakeTheNameFromOthers() async throws {
        try await withNetwork(dns: { _ in (.addresses([Network.live]), 1000) }) { network in
            let listener = try TestListener(host: Network.live)
            defer { listener.close() }
            let first = try network.ask("name.test", listener.port)
            let second = try network.ask("name.test", listener.port)
            _ = try first.receive(2)
            first.reset()
            #expect(try second.reply() == .succeeded)
            second.close()
            #expect(network.dns.questions.count == 2)
        }
    }

    /// With one lookup at a time, the worker that has done the first must start the second, but has no session left.
    @Test func aNameThatWaitsIsLookedUpThoughTheWorkerWhoseTurnItIsHasEnded() async throws {
        try await withNetwork(
            ["--workers", "2", "--drain-timeout", "20"],
            environment: ["UV_THREADPOOL_SIZE": "1"],
            resolver: "options timeout:2 attempts:1",
            dns: { name in (name == "stuck.test" ? .silence : .addresses([Network.live]), 0) }
        ) { network in
            let listener = try TestListener(host: Network.live)
            defer { listener.close() }
            let first = try network.ask("stuck.test", from: "127.0.0.2")
            try eventually("it is looked up") { !network.dns.questions.isEmpty }
            let second = try network.ask("name.test", listener.port)
            defer { second.reset() }
            _ = try second.receive(2)
            first.reset()
            network.server.signal(SIGTERM)
            #expect(try second.receive(SOCKSResponse.self).reply == .succeeded)
        }
    }

    @Test func aClientThatLeavesALookupIsForgottenAtOnce() async throws {
        try await withNetwork(resolver: "options timeout:30 attempts:1", dns: { _ in (.silence, 0) }) {
            network in
            let clients = try (0..<20).map { try network.ask("name\($0 / 2).test") }
            for client in clients { _ = try client.receive(2) }
            try eventually("all are asked for") { Set(network.dns.questions.map(\.name)).count == 10 }
            let before = network.server.descriptorCount
            for (number, client) in clients.enumerated() {
                if number % 2 == 0 { client.close() } else { client.reset() }
            }
            // The lookups keep their descriptors open.
            try eventually(within: 5, "the sessions are gone") {
                network.server.descriptorCount <= before - 20
            }
            let stopped = try milliseconds {
                let result = try network.server.stop()
                #expect(result.exitCode == 0)
            }
            #expect(stopped < 5000)
        }
    }
}
