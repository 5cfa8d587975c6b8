import SOCKS5Protocol
import Synchronization
import TestSupport
import Testing

@testable import SOCKS5Server

@Suite struct NameResolverTests {
    private struct Fixed: NameResolver {
        let isLater: Bool
        let asked = Counter()

        final class Counter: Sendable {
            let value = Atomic<Int>(0)
        }

        func resolve(_ name: String) -> ResolverAnswer {
            asked.value.add(1, ordering: .relaxed)
            let answer: ResolvedName =
                switch name {
                case "here.test": .addresses([.ipv4(IPv4Address(127, 0, 0, 1))])
                case "both.test":
                    .addresses([.ipv6(IPv6Address(high: 0, low: 1)), .ipv4(IPv4Address(127, 0, 0, 1))])
                case "down.test": .unavailable
                case "empty.test": .addresses([])
                default: .notFound
                }
            return isLater ? .later { answer } : .now(answer)
        }
    }

    @Test(arguments: [false, true]) func aCustomResolverIsAskedOnlyForNames(_ isLater: Bool) async throws {
        let resolver = Fixed(isLater: isLater)
        try await withServer({ $0.nameResolver = resolver }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            func expectReply(_ expected: Reply, _ name: String) throws {
                try expect(expected, through: port, to: Destination(name: name, port: listener.port))
            }
            for name in ["here.test", "HERE.test", "both.test", "127.0.0.1"] {
                try expectReply(.succeeded, name)
            }
            #expect(resolver.asked.value.load(ordering: .relaxed) == 2)
            for name in ["nowhere.test", "nowhere.test", "empty.test"] {
                try expectReply(.hostUnreachable, name)
            }
            #expect(resolver.asked.value.load(ordering: .relaxed) == 4)
            // An unavailable answer isn't cached.
            for _ in 0..<2 { try expectReply(.hostUnreachable, "down.test") }
            #expect(resolver.asked.value.load(ordering: .relaxed) == 6)
        }
    }

    @Test func aResolverThatFailsIsAskedAgain() async throws {
        struct Down: NameResolver {
            let asked = Fixed.Counter()

            func resolve(_ name: String) -> ResolverAnswer {
                asked.value.add(1, ordering: .relaxed)
                return .later { throw TestFailure("no network") }
            }
        }
        let resolver = Down()
        try await withServer({ $0.nameResolver = resolver }) { port in
            for _ in 0..<2 {
                try expect(.hostUnreachable, through: port, to: Destination(name: "down.test", port: 9))
            }
            #expect(resolver.asked.value.load(ordering: .relaxed) == 2)
        }
    }

    /// A host that moves: each lookup finds the next address.
    private struct Moving: NameResolver {
        let hosts: [IPv4Address]
        let asked = Fixed.Counter()

        func resolve(_ name: String) -> ResolverAnswer {
            let count = asked.value.add(1, ordering: .relaxed).newValue
            return .now(.addresses([.ipv4(hosts[min(count, hosts.count) - 1])]))
        }
    }

    @Test func aHostThatHasMovedIsFoundAtOnceAndOneThatIsDownIsLookedUpOnceMore() async throws {
        let hosts = [1, 1, 2].map { IPv4Address(127, 0, 0, $0) }
        let resolver = Moving(hosts: hosts)
        try await withServer({ $0.nameResolver = resolver }) { port in
            let number = TestListener.unusedPort()
            let first = try TestListener(port: number)
            let destination = Destination(name: "moving.test", port: number)
            try expect(.succeeded, through: port, to: destination)
            first.close()
            // Down, and still at the same address: one lookup is enough.
            try expect(.connectionRefused, through: port, to: destination)
            #expect(resolver.asked.value.load(ordering: .relaxed) == 2)
            let second = try TestListener(host: "127.0.0.2", port: number)
            defer { second.close() }
            for _ in 0..<3 { try expect(.succeeded, through: port, to: destination) }
            #expect(resolver.asked.value.load(ordering: .relaxed) == 3)
            // An answer that was looked up for this request isn't looked up again.
            try expect(.connectionRefused, through: port, to: Destination(name: "down.test", port: 9))
            #expect(resolver.asked.value.load(ordering: .relaxed) == 4)
        }
    }

    @Test func rulesCheckItsAddressesAndDatagramsGoThere() async throws {
        let denied = [Rule(.deny, commands: [.connect], networks: [try IPNetwork(parsing: "127.0.0.0/8")])]
        try await withServer({
            $0.nameResolver = Fixed(isLater: true)
            $0.rules = denied
        }) { port in
            try expect(.notAllowed, through: port, to: Destination(name: "here.test", port: 9))
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            try association.send([1, 2], to: Destination(name: "here.test", port: Int(target.address.port)))
            #expect(try target.receive().bytes == [1, 2])
        }
    }

    private struct Waiting: NameResolver {
        let gate: AnswerGate<ResolvedName>
        func resolve(_ name: String) -> ResolverAnswer {
            name == "nowhere.test" ? .now(.notFound) : .later { await gate.wait() }
        }
    }

    /// A worker without sessions ends, while another worker's session waits for a name that it has asked for.
    @Test func aNameIsAskedForAgainWhenItsWorkerEndsBeforeTheAnswer() async throws {
        let gate = AnswerGate<ResolvedName>(cancelled: .unavailable)
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(parsing: "127.0.0.1:0")]
        configuration.workers = 2
        configuration.nameResolver = Waiting(gate: gate)
        let server = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await server.start()
        let port = try #require(server.boundAddresses.first?.port)
        let listener = try TestListener()
        defer { listener.close() }
        let last = try await onThread {
            // Until lookups begin, names wait, and any worker may be the one that asks for them.
            try expect(.hostUnreachable, through: port, to: Destination(name: "nowhere.test", port: 9))
            try eventually("that session has left") { server.statistics.active == 0 }
            // One session on each worker.
            let first = try ask("a.test", listener.port, through: port)
            try eventually("it is asked") { gate.asked == 1 }
            let last = try ask("a.test", listener.port, through: port)
            first.reset()
            try eventually("the first has left") { server.statistics.active == 1 }
            return last
        }
        async let stopped: Void = server.stop(grace: .seconds(20))
        try await onThread {
            defer { last.reset() }
            try eventually("it is asked again") { gate.asked == 2 }
            #expect(gate.cancelled == 1)
            try gate.open(.addresses([.ipv4(IPv4Address(127, 0, 0, 1))]))
            #expect(try last.receive(SOCKSResponse.self).reply == .succeeded)
        }
        await stopped
        #expect(server.statistics.active == 0)
    }

    private func ask(_ name: String, _ number: Int, through port: Int) throws -> TestSocket {
        let socket = try TestSocket(connectingTo: port)
        try socket.send(Greeting(methods: [.noAuthentication]))
        _ = try socket.receive(MethodSelection.self)
        try socket.send(SOCKSRequest(command: .connect, destination: Destination(name: name, port: number)))
        return socket
    }

    /// One question for all waiting requests, even after the first has left; and a stop waits for no answer.
    @Test func aNameIsAskedForOnceAndAStopCancelsIt() async throws {
        let gate = AnswerGate<ResolvedName>(cancelled: .unavailable)
        try await withServerObject({
            $0.nameResolver = Waiting(gate: gate)
        }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let first = try ask("a.test", listener.port, through: port)
            try eventually("it is asked") { gate.asked == 1 }
            let others = try (0..<4).map { _ in try ask("a.test", listener.port, through: port) }
            defer { for socket in others { socket.close() } }
            first.reset()
            try eventually("the first has left") { server.statistics.active == 4 }
            #expect(gate.cancelled == 0)
            try gate.open(.addresses([.ipv4(IPv4Address(127, 0, 0, 1))]))
            for socket in others { #expect(try socket.receive(SOCKSResponse.self).reply == .succeeded) }
            #expect(gate.asked == 1)
            let last = try ask("b.test", listener.port, through: port)
            last.reset()
            try eventually("the second name is asked for") { gate.asked == 2 }
        }
        try await onThread { try eventually("the stop cancels it") { gate.cancelled == 1 } }
    }
}
