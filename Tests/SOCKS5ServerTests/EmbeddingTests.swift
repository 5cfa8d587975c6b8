import Locks
import SOCKS5Protocol
import Synchronization
import TestSupport
import Testing

@testable import SOCKS5Server

/// What the example in README.md asks.
actor Database {
    func holds(_ name: [UInt8], _ password: [UInt8]) -> Bool {
        name == Array("alice".utf8) && password == Array("secret".utf8)
    }
}

/// What answers when the test says so, to all who ask.
private final class Gate<Answer: Sendable>: Sendable {
    private struct State {
        var waiting: [Int: CheckedContinuation<Answer, Never>] = [:]
        var asked = 0
        var cancelled = 0
    }

    private let state = Guarded(State())
    private let cancelledAnswer: Answer

    init(cancelled: Answer) {
        cancelledAnswer = cancelled
    }

    var asked: Int { state.withLock { $0.asked } }
    var cancelled: Int { state.withLock { $0.cancelled } }

    func wait() async -> Answer {
        let number = state.withLock { state in
            state.asked += 1
            return state.asked
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                state.withLock { $0.waiting[number] = continuation }
                if Task.isCancelled { cancel(number) }
            }
        } onCancel: {
            cancel(number)
        }
    }

    private func cancel(_ number: Int) {
        let continuation = state.withLock { state in
            let continuation = state.waiting.removeValue(forKey: number)
            if continuation != nil { state.cancelled += 1 }
            return continuation
        }
        continuation?.resume(returning: cancelledAnswer)
    }

    func open(_ answer: Answer) throws {
        try eventually("somebody waits") { state.withLock { !$0.waiting.isEmpty } }
        let all = state.withLock { state in
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in all.values { continuation.resume(returning: answer) }
    }
}

@Suite struct EmbeddingTests {
    @Test func theExampleOfTheReadmeIsShortAndServes() async throws {
        let example = try readFile("\(projectFolder)/Tests/SOCKS5ServerTests/ReadmeExample.swift")
        #expect(example.split(separator: "\n", omittingEmptySubsequences: false).count - 1 <= 15)
        #expect(try readFile("\(projectFolder)/README.md").contains("```swift\n\(example)```\n"))

        let proxy = try server(at: ListenAddress(parsing: "127.0.0.1:0"), with: Database())
        let running = Task { try await proxy.run() }
        try await onThread {
            try eventually("it listens") { !proxy.boundAddresses.isEmpty }
            let port = proxy.boundAddresses[0].port
            for (password, isRight) in [("secret", true), ("wrong", false)] {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                try socket.send(Greeting(methods: [.usernamePassword]))
                _ = try socket.receive(MethodSelection.self)
                try socket.send(Credentials(username: "alice", password: password))
                #expect(try socket.receive(AuthenticationStatus.self).succeeded == isRight)
            }
        }
        running.cancel()
        try await running.value
    }
}

@Suite struct RuleSetTests {
    /// Denies the port of a listener, a name, 127.0.0.2, and BIND; can't say anything of port 7.
    private struct Fixed: RuleSet {
        let isLater: Bool

        func decide(_ request: RuleRequest) -> RuleAnswer {
            let verdict: RuleVerdict =
                switch (request.command, request.target) {
                case (.bind, _): .denied
                case (_, .address(_, 7)), (_, .name(_, 7)): .unavailable
                case (.connect, .name(let name, _)) where name.description == "denied.test": .denied
                case (_, _): request.client.host == "127.0.0.1" && request.user == nil ? .allowed : .denied
                }
            return isLater ? .later { verdict } : .now(verdict)
        }

        func permits(_ target: RuleRequest) -> Bool {
            switch target.target {
            case .address(.ipv4(IPv4Address(127, 0, 0, 2)), _): false
            case .name(let name, _) where name.description == "denied.test": false
            case _: target.name?.description != "localhost"
            }
        }
    }

    @Test func aRuleSetThatFailsIsAnsweredAsAFailure() async throws {
        struct Down: RuleSet {
            func decide(_ request: RuleRequest) -> RuleAnswer { .later { throw TestFailure("no database") } }
            func permits(_ target: RuleRequest) -> Bool { true }
        }
        try await withServer({ $0.ruleSet = Down() }) { port in
            try expect(.generalFailure, through: port, to: .loopback(9))
        }
    }

    @Test(arguments: [false, true]) func aRuleSetOfOnesOwnDecides(_ isLater: Bool) async throws {
        try await withServerObject({ $0.ruleSet = Fixed(isLater: isLater) }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let (name, number) = ("localhost", listener.port)
            try expect(.succeeded, through: port, to: .loopback(number))
            try expect(.notAllowed, through: port, to: .unspecified, by: .bind)
            try expect(.generalFailure, through: port, to: .loopback(7))
            try expect(.notAllowed, through: port, to: Destination(name: "denied.test", port: number))
            // Each address is asked for, with its name; however an address is written.
            try expect(.notAllowed, through: port, to: Destination(name: name, port: number))
            for text in ["127.0.0.2", "0x7f.2", "::ffff:127.0.0.2"] {
                try expect(.notAllowed, through: port, to: Destination(name: text, port: number))
            }
            #expect(server.statistics.replies(.notAllowed) == 6)
        }
    }

    @Test func eachDatagramsTargetIsAskedFor() async throws {
        try await withServerObject({ $0.ruleSet = Fixed(isLater: true) }) { server, port in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let (open, closed) = (try TestDatagramSocket(), try TestDatagramSocket(host: "127.0.0.2"))
            defer { open.close(); closed.close() }
            let denied = [
                closed.address, Destination(name: "denied.test", port: 9),
                Destination(name: "localhost", port: Int(open.address.port)),
            ]
            for (count, destination) in denied.enumerated() {
                try association.send([1], to: destination)
                try eventually("\(destination) is denied") {
                    server.statistics.datagramsDropped(.denied) == count + 1
                }
                try association.expectEcho(of: [2], from: open)
            }
            #expect(!closed.hasDatagram)
        }
    }

    private struct Waiting: RuleSet {
        let gate: Gate<RuleVerdict>

        func decide(_ request: RuleRequest) -> RuleAnswer { .later { await gate.wait() } }
        func permits(_ target: RuleRequest) -> Bool { true }
    }

    @Test func whileARequestIsDecidedItsClientMayLeaveAndTheTimeMayPass() async throws {
        let gate = Gate<RuleVerdict>(cancelled: .allowed)
        try await withServerObject({
            $0.ruleSet = Waiting(gate: gate)
            $0.timeouts.dial = .milliseconds(300)
        }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            // The time is over.
            try expect(.generalFailure, through: port, to: .loopback(listener.port))
            try eventually("the task is cancelled") { gate.cancelled == 1 }
            // The client leaves.
            let socket = try TestSocket(connectingTo: port)
            try socket.send(Greeting(methods: [.noAuthentication]))
            _ = try socket.receive(MethodSelection.self)
            try socket.send(SOCKSRequest(command: .connect, destination: .loopback(listener.port)))
            try eventually("it is asked") { gate.asked == 2 }
            socket.reset()
            try eventually("the task is cancelled") { gate.cancelled == 2 }
            try eventually("the session ends") { server.statistics.active == 0 }
            #expect(!listener.hasConnection)
        }
    }

    @Test func whatIsPipelinedBehindARequestWaitsForTheDecision() async throws {
        let gate = Gate<RuleVerdict>(cancelled: .denied)
        try await withServer({ $0.ruleSet = Waiting(gate: gate) }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            var random = SeededGenerator(seed: 51)
            let payload = random.bytes(64 << 10)
            let socket = try TestSocket(connectingTo: port)
            defer { socket.close() }
            let request = SOCKSRequest(command: .connect, destination: .loopback(listener.port))
            try socket.send(Greeting(methods: [.noAuthentication]).encoded + request.encoded + payload)
            socket.endSending()
            try gate.open(.allowed)
            let target = try listener.accept()
            defer { target.close() }
            #expect(try target.receiveToEnd() == payload)
            try target.send([1])
            target.endSending()
            #expect(try socket.receiveToEnd().suffix(1) == [1])
        }
    }

    @Test func theGuardStaysBesideARuleSet() async throws {
        try await withServer({
            $0.ruleSet = Fixed(isLater: false)
            $0.destinationGuard.mode = .on
        }) { port in
            try expect(.notAllowed, through: port, to: .loopback(9))
        }
    }

    @Test func rulesBesideARuleSetAreRefused() {
        var configuration = Configuration()
        configuration.ruleSet = Fixed(isLater: false)
        configuration.rules = [Rule(.deny)]
        #expect(throws: ProxyServerError.self) { try ProxyServer(configuration: configuration) }
    }
}

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

    @Test(arguments: [false, true]) func aResolverOfOnesOwnIsAskedForNamesAlone(_ isLater: Bool) async throws
    {
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
            // What couldn't be said isn't remembered.
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
            // Down, and still at the same address: one lookup tells.
            try expect(.connectionRefused, through: port, to: destination)
            #expect(resolver.asked.value.load(ordering: .relaxed) == 2)
            let second = try TestListener(host: "127.0.0.2", port: number)
            defer { second.close() }
            for _ in 0..<3 { try expect(.succeeded, through: port, to: destination) }
            #expect(resolver.asked.value.load(ordering: .relaxed) == 3)
            // An answer that was looked up for the request isn't looked up again.
            try expect(.connectionRefused, through: port, to: Destination(name: "down.test", port: 9))
            #expect(resolver.asked.value.load(ordering: .relaxed) == 4)
        }
    }

    @Test func whatItFindsIsJudgedAndDatagramsGoThere() async throws {
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
        let gate: Gate<ResolvedName>
        func resolve(_ name: String) -> ResolverAnswer {
            name == "nowhere.test" ? .now(.notFound) : .later { await gate.wait() }
        }
    }

    /// A worker without sessions ends, while sessions of another wait for a name that it has asked for.
    @Test func aNameIsAskedForAgainWhenItsWorkerEndsBeforeTheAnswer() async throws {
        let gate = Gate<ResolvedName>(cancelled: .unavailable)
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
            // Until lookups begin, names wait, and any worker may be the one to ask for them.
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

    /// One question for all who want to know, also when the first has left; and a stop waits for no answer.
    @Test func aNameIsAskedForOnceAndAStopCancelsIt() async throws {
        let gate = Gate<ResolvedName>(cancelled: .unavailable)
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
