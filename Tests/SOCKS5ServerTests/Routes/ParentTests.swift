import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// PROTOCOL 57 and 58: connections through other proxies.
@Suite struct ParentTests {
    private static func route(_ name: String) -> Route { Route(.parent(name)) }

    /// The reply to a client that wants `name.test:80`, if `parents` are tried in their order.
    private static func through(
        _ parents: [Parent],
        _ change: @escaping (inout Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (Int) throws -> Void
    ) async throws {
        try await withServer(
            { configuration in
                configuration.parents = parents
                configuration.parentGroups = [ParentGroup("all", anyOf: parents.map { .init($0.name) })]
                configuration.routes = [Self.route("all")]
                change(&configuration)
            },
            body
        )
    }

    private static let target = Destination(name: "name.test", port: 80)

    @Test(arguments: [nil, Credentials(username: "alice", password: "open sesame")])
    func aSessionGoesThroughAParent(_ credentials: Credentials?) async throws {
        let sessions = RecordedSessions()
        try await withParents([
            { parent in
                if credentials != nil { parent.users = [ProxyUser(name: "alice", password: "open sesame")] }
            }
        ]) { server, ports in
            server.parents = [Parent("up", port: ports[0], credentials: credentials)]
            server.routes = [Self.route("up")]
            server.observer = sessions
        } _: { port, parents in
            try expectRelaying(through: port)
            #expect(parents[0].statistics[.accepted] == 1)
            let session = try sessions.next(after: 0)
            #expect(session.route == "route 1" && session.parent == "up" && session.outcome == .completed)
            #expect(session.address?.description == "127.0.0.1:\(parents[0].boundAddresses[0].port)")
        }
    }

    @Test func aChainIsWalkedInItsOrder() async throws {
        let seen = [RecordedSessions(), RecordedSessions(), RecordedSessions()]
        try await withParents(seen.map { sessions in { $0.observer = sessions } }) { server, ports in
            server.parents = [
                Parent("a", port: ports[0]), Parent("b", port: ports[1]), Parent("c", port: ports[2]),
            ]
            server.parents[1].through = "a"
            server.parents[2].through = "b"
            server.routes = [Self.route("c")]
        } _: { port, parents in
            try expectRelaying(through: port)
            for (index, sessions) in seen.enumerated() {
                let session = try sessions.next(after: 0)
                if index < 2 {
                    #expect(session.target?.port == UInt16(parents[index + 1].boundAddresses[0].port))
                }
            }
        }
    }

    @Test func aNameGoesToTheParentAsTheClientHasSentIt() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        try await Self.through([Parent("up", port: parent.port)]) { port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            try client.send(Greeting(methods: [.noAuthentication]))
            try client.send(SOCKSRequest(command: .connect, destination: Self.target))
            let asked = try parent.accept()
            defer { asked.close() }
            #expect(try asked.takeRequest().destination == Self.target)
            try asked.send(SOCKSResponse(reply: .succeeded, boundAddress: .loopback(7)))
            #expect(try client.receive(MethodSelection.self).method == .noAuthentication)
            let response = try client.receive(SOCKSResponse.self)
            #expect(response.reply == .succeeded && response.boundAddress == .loopback(7))
        }
    }

    /// Bytes that come in one segment with the reply, or in pieces.
    @Test func firstBytesOfTheTargetArriveExactlyOnce() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        try await Self.through([Parent("up", port: parent.port)]) { port in
            let reply = SOCKSResponse(reply: .succeeded, boundAddress: .loopback(7)).encoded
            let payload = (0..<6000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 256) }
            for split in 0...(reply.count + 2) {
                let client = try TestSocket(connectingTo: port)
                defer { client.close() }
                try client.send(Greeting(methods: [.noAuthentication]))
                try client.send(SOCKSRequest(command: .connect, destination: Self.target))
                let asked = try parent.accept()
                defer { asked.close() }
                _ = try asked.takeRequest()
                let all = reply + payload
                try asked.send(Array(all[..<split]))
                usleep(300)
                try asked.send(Array(all[split...]))
                asked.endSending()
                #expect(try client.receive(2) == [5, 0])
                #expect(try client.receive(SOCKSResponse.self).reply == .succeeded)
                #expect(try client.receiveToEnd() == payload, "split at \(split)")
            }
        }
    }

    @Test func theParentsAnswerIsPassedOn() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        let other = try ScriptedParent()
        defer { other.close() }
        try await Self.through([Parent("up", port: parent.port), Parent("other", port: other.port)]) { port in
            for reply in Reply.allCases where reply != .succeeded {
                let client = TestThread { try expect(reply, through: port, to: Self.target) }
                let asked = try parent.accept()
                defer { asked.close() }
                _ = try asked.takeRequest()
                try asked.send(SOCKSResponse.failure(reply))
                try client.join()
            }
            #expect(!other.listener.hasConnection)
        }
    }

    /// It is the parent's own fault, so the next one is tried.
    @Test(
        arguments: [
            [], [4], [5, 0xff], [5, 2], [5, 0, 4], [5, 0, 5, 9, 0, 1], [5, 0, 5, 0, 0, 7],
        ] as [[UInt8]]
    )
    func aParentThatFailsIsPassedOver(_ answer: [UInt8]) async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        let sessions = RecordedSessions()
        try await withParents([{ _ in }]) { server, ports in
            server.parents = [Parent("bad", port: parent.port), Parent("good", port: ports[0])]
            server.parentGroups = [ParentGroup("all", anyOf: [.init("bad"), .init("good")])]
            server.routes = [Self.route("all")]
            server.observer = sessions
        } _: { port, _ in
            let client = TestThread { try expectRelaying(through: port) }
            let asked = try parent.accept()
            try asked.send(answer)
            asked.close()
            try client.join()
            #expect(try sessions.next(after: 0).parent == "good")
        }
    }

    @Test func withoutAWorkingParentTheReplyIsGeneralFailure() async throws {
        let sessions = RecordedSessions()
        let deaf = TestListener.unusedPort()
        try await Self.through([Parent("up", port: deaf)], { $0.observer = sessions }) { port in
            try expect(.generalFailure, through: port, to: Self.target)
            let session = try sessions.next(after: 0)
            #expect(session.parent == "up" && session.reason == "parent unreachable: ECONNREFUSED")
        }
    }

    @Test func aSilentParentCostsOnlyItsShareOfTheTime() async throws {
        let hole = try Blackhole()
        defer { hole.close() }
        try await withParents([{ _ in }]) { server, ports in
            server.timeouts.dial = .seconds(1)
            server.parents = [Parent("silent", port: hole.port), Parent("good", port: ports[0])]
            server.parentGroups = [ParentGroup("all", anyOf: [.init("silent"), .init("good")])]
            server.routes = [Self.route("all")]
        } _: { port, _ in
            try expectRelaying(through: port)
        }
    }

    @Test func aParentOnAUnixSocketIsReached() async throws {
        let path = "/tmp/socks5d-test-\(UInt64.random(in: 0...UInt64.max)).sock"
        let address = try ListenAddress(unix: path)
        try await withParents([{ $0.listen = [address] }]) { server, _ in
            server.parents = [Parent("up", .socks5, at: .unix(path: path))]
            server.routes = [Self.route("up")]
        } _: { port, _ in
            try expectRelaying(through: port)
        }
    }

    @Test func bothRepliesOfABindComeFromTheParent() async throws {
        try await withParents([{ _ in }]) { server, ports in
            server.parents = [Parent("up", port: ports[0])]
            server.routes = [Self.route("up")]
        } _: { port, _ in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            let first = try client.request(.bind, .loopback(0))
            #expect(first.reply == .succeeded)
            let peer = try TestSocket(connectingTo: Int(first.boundAddress.port))
            defer { peer.close() }
            #expect(try client.receive(SOCKSResponse.self).boundAddress == .loopback(peer.localPort))
            try peer.send([1, 2, 3])
            #expect(try client.receive(3) == [1, 2, 3])
        }
    }

    @Test func resolveIsAskedOfTheParent() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        try await Self.through([Parent("up", port: parent.port)]) { port in
            let client = TestThread {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                let response = try socket.request(.resolve, Self.target)
                #expect(
                    response.reply == .succeeded && response.boundAddress.host == Destination.loopback(0).host
                )
            }
            let asked = try parent.accept()
            defer { asked.close() }
            #expect(try asked.takeRequest().command == .resolve)
            try asked.send(SOCKSResponse(reply: .succeeded, boundAddress: .loopback(0)))
            try client.join()
        }
    }

    @Test(arguments: [Parent.Kind.socks4, .http]) func aParentOfAnotherProtocolCarriesASession(
        _ kind: Parent.Kind
    )
        async throws
    {
        try await withParents([{ $0.listeners[0].protocols = [.socks4, .http] }]) { server, ports in
            server.parents = [Parent("up", kind, port: ports[0])]
            server.routes = [Self.route("up")]
        } _: { port, parents in
            try expectRelaying(through: port)
            #expect(parents[0].statistics[.accepted] == 1)
        }
    }

    /// It isn't even dialled.
    @Test func requestsThatAParentsProtocolCannotExpressAreRefused() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        try await Self.through([Parent("old", .socks4, port: parent.port)]) { port in
            try expect(.addressTypeNotSupported, through: port, to: .loopback6(80))
            try expect(.commandNotSupported, through: port, to: Self.target, by: .resolve)
            #expect(!parent.listener.hasConnection)
        }
        try await Self.through([Parent("web", .http, port: parent.port)]) { port in
            try expect(.commandNotSupported, through: port, to: Self.target, by: .bind)
            #expect(!parent.listener.hasConnection)
        }
    }

    @Test func anUnspecifiedAddressOfABindIsTheParents() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        try await Self.through([Parent("up", port: parent.port)]) { port in
            let client = TestThread {
                let socket = try TestSocket(connectingTo: port)
                defer { socket.close() }
                #expect(try socket.request(.bind, .loopback(0)).boundAddress == .loopback(7))
            }
            let asked = try parent.accept()
            _ = try asked.takeRequest()
            let bound = Destination(host: .ipv4(IPv4Address(0, 0, 0, 0)), port: 7)
            try asked.send(SOCKSResponse(reply: .succeeded, boundAddress: bound))
            try client.join()
            asked.close()
        }
    }

    @Test func aParentsNoIsNoLimitOfOurs() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        let sessions = RecordedSessions()
        try await Self.through([Parent("up", port: parent.port)], { $0.observer = sessions }) { port in
            let client = TestThread { try expect(.notAllowed, through: port, to: Self.target) }
            let asked = try parent.accept()
            defer { asked.close() }
            _ = try asked.takeRequest()
            try asked.send(SOCKSResponse.failure(.notAllowed))
            try client.join()
            let session = try sessions.next(after: 0)
            #expect(session.outcome == .deniedByParent && session.endedBy == nil)
            #expect(session.reason == "refused by the parent, reply 2")
        }
    }

    @Test func aParentThatIsTooSlowIsTheReason() async throws {
        let hole = try Blackhole()
        defer { hole.close() }
        let sessions = RecordedSessions()
        try await Self.through(
            [Parent("silent", port: hole.port)],
            { server in
                server.observer = sessions
                server.timeouts.dial = .milliseconds(300)
            }
        ) { port in
            try expect(.generalFailure, through: port, to: Self.target)
            #expect(try sessions.next(after: 0).reason == "parent too slow")
        }
    }

    /// Only its silence distinguishes it from a parent with a slow target.
    @Test(arguments: [Parent.Kind.http, .socks4]) func aParentThatStaysSilentIsPassedOverInTheEnd(
        _ kind: Parent.Kind
    ) async throws {
        let silent = try TestListener()
        defer { silent.close() }
        try await withParents([{ _ in }]) { server, ports in
            server.timeouts.dial = .milliseconds(600)
            server.parents = [Parent("silent", kind, port: silent.port), Parent("good", port: ports[0])]
            server.parentGroups = [ParentGroup("all", anyOf: [.init("silent"), .init("good")])]
            server.routes = [Self.route("all")]
        } _: { port, _ in
            for _ in 0..<3 { try expect(.ttlExpired, through: port, to: Self.target) }
            try expectRelaying(through: port)
        }
    }

    /// An association, and the listening address of a BIND, don't depend on a target that may be slow.
    @Test func aParentThatStallsAtABindIsLeft() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        try await withParents([{ _ in }]) { server, ports in
            server.timeouts.dial = .seconds(1)
            server.parents = [Parent("stalls", port: parent.port), Parent("good", port: ports[0])]
            server.parentGroups = [ParentGroup("all", anyOf: [.init("stalls"), .init("good")])]
            server.routes = [Self.route("all")]
        } _: { port, _ in
            let client = TestThread { try expect(.succeeded, through: port, to: .loopback(0), by: .bind) }
            let asked = try parent.accept()
            defer { asked.close() }
            _ = try asked.takeRequest()
            try client.join()
        }
    }

    /// The next parent of the chain doesn't answer: the first one has shown that it works.
    @Test func aStallAfterAParentIsNotThatParentsFault() async throws {
        let first = try ScriptedParent()
        defer { first.close() }
        let sessions = RecordedSessions()
        try await withServer({ server in
            server.observer = sessions
            server.timeouts.dial = .seconds(1)
            server.parents = [Parent("office", port: first.port), Parent("far", port: 9)]
            server.parents[1].through = "office"
            server.routes = [Self.route("far")]
        }) { port in
            let client = TestThread { try expect(.generalFailure, through: port, to: Self.target) }
            let asked = try first.accept()
            defer { asked.close() }
            _ = try asked.takeRequest()
            try client.join()
            let session = try sessions.next(after: 0)
            #expect(session.parent == "far" && session.reason == "parent too slow")
        }
    }

    @Test func rulesCheckAddressesThatAParentHasFound() async throws {
        let parent = try ScriptedParent()
        defer { parent.close() }
        try await Self.through(
            [Parent("up", port: parent.port)],
            { server in
                server.rules = [Rule(.deny, networks: [IPNetwork(.ipv4(IPv4Address(10, 0, 0, 5)))])]
            }
        ) { port in
            let requests: [(SOCKSCommand, Destination)] = [(.resolve, Self.target), (.bind, .unspecified)]
            for (command, destination) in requests {
                let client = TestThread {
                    let socket = try TestSocket(connectingTo: port)
                    defer { socket.close() }
                    let first = try socket.request(command, destination)
                    let last = command == .bind ? try socket.receive(SOCKSResponse.self) : first
                    #expect(last.reply == .notAllowed)
                }
                let asked = try parent.accept()
                defer { asked.close() }
                _ = try asked.takeRequest()
                if command == .bind {
                    try asked.send(SOCKSResponse(reply: .succeeded, boundAddress: .loopback(7)))
                }
                let found = Destination(host: .ipv4(IPv4Address(10, 0, 0, 5)), port: 7)
                try asked.send(SOCKSResponse(reply: .succeeded, boundAddress: found))
                try client.join()
            }
        }
    }
}
