import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server

/// The database that the example in README.md asks.
actor Database {
    func holds(_ name: [UInt8], _ password: [UInt8]) -> Bool {
        name == Array("alice".utf8) && password == Array("secret".utf8)
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

    @Test func theExampleOfTheTLSPageCompiles() throws {
        let example = try readFile("\(projectFolder)/Tests/SOCKS5ServerTests/TLSExample.swift")
        #expect(try readFile("\(projectFolder)/docs/tls.md").contains("```swift\n\(example)```\n"))
    }
}

@Suite struct RuleSetTests {
    /// Denies the port of a listener, a name, 127.0.0.2, and BIND; can't decide about port 7.
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
            // Each address is checked, together with its name, in any spelling.
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
        let gate: AnswerGate<RuleVerdict>

        func decide(_ request: RuleRequest) -> RuleAnswer { .later { await gate.wait() } }
        func permits(_ target: RuleRequest) -> Bool { true }
    }

    @Test func whileARequestIsDecidedItsClientMayLeaveAndTheTimeMayPass() async throws {
        let gate = AnswerGate<RuleVerdict>(cancelled: .allowed)
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

    @Test func payloadPipelinedAfterARequestWaitsForTheDecision() async throws {
        let gate = AnswerGate<RuleVerdict>(cancelled: .denied)
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

    @Test func theGuardAppliesInAdditionToARuleSet() async throws {
        try await withServer({
            $0.ruleSet = Fixed(isLater: false)
            $0.destinationGuard.mode = .on
        }) { port in
            try expect(.notAllowed, through: port, to: .loopback(9))
        }
    }

    @Test func rulesTogetherWithARuleSetAreRefused() {
        var configuration = Configuration()
        configuration.ruleSet = Fixed(isLater: false)
        configuration.rules = [Rule(.deny)]
        #expect(throws: ProxyServerError.self) { try ProxyServer(configuration: configuration) }
    }
}
