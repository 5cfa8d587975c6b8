import ProxyPolicy
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// PROTOCOL 59: datagrams through SOCKS5 parents.
@Suite struct ParentDatagramTests {
    @Test(arguments: [nil, Credentials(username: "alice", password: "open sesame")])
    func datagramsGoThroughAParentAndBack(_ credentials: Credentials?) async throws {
        let sessions = RecordedSessions()
        let counts = [0, 1, 512, 1472, 9000, 65_000]
        try await withParents([
            { parent in
                if credentials != nil { parent.users = [ProxyUser(name: "alice", password: "open sesame")] }
            }
        ]) { server, ports in
            server.parents = [Parent("up", port: ports[0], credentials: credentials)]
            server.routes = [Route(.parent("up"))]
            server.observer = sessions
        } _: { port, parents in
            let association = try TestAssociation(through: port)
            for host in ["127.0.0.1", "::1", "127.0.0.2"] {
                let target = try TestDatagramSocket(host: host)
                defer { target.close() }
                for count in counts {
                    try association.expectEcho(of: [UInt8](repeating: 7, count: count), from: target)
                }
            }
            #expect(parents[0].statistics[.datagramsClientToTarget] == 3 * counts.count)
            association.close()
            let session = try sessions.next(after: 0)
            #expect(session.route == "route 1" && session.parent == "up" && session.outcome == .completed)
            // Without headers.
            let sum = UInt64(3 * counts.reduce(0, +))
            #expect(session.bytesClientToTarget == sum && session.bytesTargetToClient == sum)
            #expect(session.endedBy == .client && session.datagrams?.dropped == 0)
            try eventually("the parent's association has ended") { parents[0].statistics.active == 0 }
        }
    }

    @Test func eachDatagramTakesTheRouteOfItsOwnTarget() async throws {
        try await withParents([{ _ in }, { _ in }]) { server, ports in
            server.parents = [Parent("a", port: ports[0]), Parent("b", port: ports[1])]
            var toA = Route(.parent("a"))
            toA.networks = [try IPNetwork(parsing: "127.0.0.2")]
            var toB = Route(.parent("b"))
            toB.domains = [try DomainPattern(parsing: "localhost")]
            server.routes = [toA, toB]
        } _: { port, parents in
            let association = try TestAssociation(through: port)
            defer { association.close() }
            let (plain, ofA) = (try TestDatagramSocket(), try TestDatagramSocket(host: "127.0.0.2"))
            defer { plain.close(); ofA.close() }
            for round in UInt8(0)..<3 {
                try association.expectEcho(of: [round], from: plain)
                try association.expectEcho(of: [round], from: ofA)
                let name = Destination(name: "localhost", port: plain.port)
                try association.send([round], to: name)
                // Whichever of the addresses the parent finds, the parent sends to it.
                try eventually("it is sent") {
                    parents[1].statistics[.datagramsClientToTarget] == Int(round) + 1
                }
                while plain.hasDatagram { _ = try plain.receive() }
            }
            #expect(parents[0].statistics[.datagramsClientToTarget] == 3)
            #expect(parents.allSatisfy { $0.statistics[.associations] == 1 })
        }
    }

    @Test func aNameGoesToTheParentAsItIs() async throws {
        try await withScriptedParent { port, parent, _ in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            let longest = [63, 63, 63, 61].map { String(repeating: "x", count: $0) }.joined(separator: ".")
            for name in ["name.test", longest] {
                try client.send([1, 2, 3], to: Destination(name: name, port: 53))
            }
            let asked = try ScriptedAssociation(at: parent)
            defer { asked.close() }
            for name in ["name.test", longest] {
                let received = try asked.receive()
                #expect(received.payload == [1, 2, 3])
                #expect(received.target == Destination(name: name, port: 53))
                // Only the parent knows its address.
                try asked.send([4], from: .far, to: received.sender)
                let (payload, source) = try client.receive()
                #expect(payload == [4] && source == .far)
            }
        }
    }

    /// It is looked up if the route asks for that, and if only an address tells which route it is.
    @Test(arguments: [false, true]) func aNameIsLookedUpHereIfItsRouteSaysSo(_ hasNetworks: Bool) async throws
    {
        struct Names: NameResolver {
            func resolve(_ name: String) -> ResolverAnswer {
                let address = name == "far.test" ? IPv4Address(192, 0, 2, 7) : IPv4Address(127, 0, 0, 1)
                return .later { .addresses([.ipv4(address)]) }
            }
        }
        let far = try IPNetwork(parsing: "192.0.2.0/24")
        try await withScriptedParent({
            $0.nameResolver = Names()
            $0.routes[0].names = .local
            if hasNetworks { $0.routes[0].networks = [far] }
        }) { port, parent, _ in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            for number in UInt8(0)..<3 {
                try client.send([number], to: Destination(name: "far.test", port: 53))
            }
            let asked = try ScriptedAssociation(at: parent)
            defer { asked.close() }
            for number in UInt8(0)..<3 {
                let received = try asked.receive()
                #expect(received.payload == [number] && received.target == .far)
            }
            let near = try TestDatagramSocket()
            defer { near.close() }
            let name = Destination(name: "near.test", port: near.port)
            if hasNetworks {
                try client.expectEcho(of: [9], from: near, as: name)
            } else {
                try client.send([9], to: name)
                let received = try asked.receive()
                #expect(received.target == near.address)
            }
        }
    }

    @Test func rulesAreAskedBeforeTheRoute() async throws {
        let denied = try IPNetwork(parsing: "192.0.2.8")
        let evil = try DomainPattern(parsing: ".evil.test")
        try await withScriptedParent({
            $0.rules = [Rule(.deny, networks: [denied]), Rule(.deny, domains: [evil])]
        }) { port, parent, server in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            let targets = [
                Destination(host: .ipv4(IPv4Address(192, 0, 2, 8)), port: 53),
                Destination(host: .ipv6(IPv6Address(high: 0, low: 0xffff_c000_0208)), port: 53),
                Destination(name: "192.0.2.8", port: 53), Destination(name: "really.EVIL.test.", port: 53),
                Destination(name: "name.test", port: 0), Destination(host: Destination.far.host, port: 0),
            ]
            for target in targets { try client.send([1], to: target) }
            try eventually("all are dropped") {
                server.statistics.datagramsDropped(.denied) == targets.count
            }
            #expect(!parent.listener.hasConnection)
        }
    }

    // MARK: - From the parent

    @Test func nothingIsTakenFromOthersOrFromTargetsThatWereNotSentTo() async throws {
        try await withScriptedParent { port, parent, server in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            try client.send([1], to: .far)
            let asked = try ScriptedAssociation(at: parent)
            defer { asked.close() }
            let sender = try asked.receive().sender
            let answer = DatagramHeader(destination: .far).encoded + [2]
            let strangers = try [
                TestDatagramSocket(), TestDatagramSocket(host: "127.0.0.2", port: asked.relay.port),
            ]
            for stranger in strangers {
                try stranger.send(answer, to: sender)
                stranger.close()
            }
            try asked.send([3], from: .loopback(53), to: sender)
            try eventually("three are dropped") { server.statistics.datagramsDropped(.unsolicited) == 3 }
            try asked.send([4], from: .far, fragment: 1, to: sender)
            try eventually("a fragment is dropped") { server.statistics.datagramsDropped(.fragment) == 1 }
            #expect(!client.socket.hasDatagram)
            // The host matters, not its port.
            let other = Destination(host: Destination.far.host, port: 4711)
            try asked.send([5], from: other, to: sender)
            let (payload, source) = try client.receive()
            #expect(payload == [5] && source == other)
        }
    }

    @Test func invalidDatagramsAreDroppedAndCountedAndEndNothing() async throws {
        try await withScriptedParent { port, parent, server in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            try client.send([1], to: .far)
            let asked = try ScriptedAssociation(at: parent)
            defer { asked.close() }
            let sender = try asked.receive().sender
            let whole = DatagramHeader(destination: .far).encoded
            var garbage = (0..<whole.count).map { Array(whole[..<$0]) }
            garbage += [[0, 1] + whole[2...], [0, 0, 0, 2] + whole[4...], [0, 0, 0, 3, 0, 0, 53]]
            garbage.append(DatagramHeader(destination: Destination(name: "name.test", port: 53)).encoded)
            for (index, bytes) in garbage.enumerated() {
                try asked.relay.send(bytes, to: sender)
                try eventually("\(bytes) is dropped") {
                    server.statistics.datagramsDropped(.malformed) == index + 1
                }
            }
            var random = SeededGenerator(seed: 59)
            for sent in 1...1000 {
                try asked.relay.send(random.bytes(Int.random(in: 0...40, using: &random)), to: sender)
                // No more at once than the socket can hold.
                guard sent % 50 == 0 else { continue }
                try eventually("\(sent) are dropped") {
                    server.statistics.datagramsDropped(.malformed) == garbage.count + sent
                }
            }
            try asked.send([], from: .far, to: sender)
            let (payload, source) = try client.receive()
            #expect(payload.isEmpty && source == .far)
        }
    }

    @Test(arguments: [Configuration.Filtering.endpointIndependent, .addressDependent])
    func filteringAppliesThroughAParentToo(_ filtering: Configuration.Filtering) async throws {
        try await withScriptedParent({ $0.udp.filtering = filtering }) { port, parent, server in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            try client.send([1], to: .far)
            let asked = try ScriptedAssociation(at: parent)
            defer { asked.close() }
            let sender = try asked.receive().sender
            try asked.send([2], from: .loopback(7), to: sender)
            if filtering == .endpointIndependent {
                let (payload, source) = try client.receive()
                #expect(payload == [2] && source == .loopback(7))
            } else {
                try eventually("it is dropped") { server.statistics.datagramsDropped(.unsolicited) == 1 }
            }
        }
    }

    // MARK: - The way

    @Test func bothSocketsLeaveByTheEgressOfTheRoute() async throws {
        let own = try #require(IPAddress("127.0.0.7"))
        try await withScriptedParent({
            var direct = Route(.direct)
            direct.networks = [try IPNetwork(parsing: "127.0.0.1")]
            direct.egress = Configuration.Egress()
            direct.egress?.addresses = [IPNetwork(.ipv4(IPv4Address(127, 0, 0, 9)))]
            $0.routes[0].egress = Configuration.Egress()
            $0.routes[0].egress?.addresses = [IPNetwork(own)]
            $0.routes.insert(direct, at: 0)
        }) { port, parent, _ in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            try client.send([1], to: .far)
            let asked = try ScriptedAssociation(at: parent)
            defer { asked.close() }
            let sender = try asked.receive().sender
            #expect(asked.control.peerHost == "127.0.0.7")
            #expect(sender == (try Destination(numeric: "127.0.0.7", port: Int(sender.port))))
            let target = try TestDatagramSocket()
            defer { target.close() }
            try client.send([1], to: target.address)
            let source = try target.receive().source
            #expect(source == (try Destination(numeric: "127.0.0.9", port: Int(source.port))))
        }
    }

    @Test func datagramsLeaveDirectlyIfTheRouteSaysSo() async throws {
        try await withScriptedParent({
            $0.parents.append(Parent("page", .http, port: 1))
            var other = Route(.parent("page"))
            other.sendsDatagramsDirectly = true
            $0.routes = [other]
        }) { port, parent, _ in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            let target = try TestDatagramSocket()
            defer { target.close() }
            try client.expectEcho(of: [1], from: target)
            #expect(!parent.listener.hasConnection)
        }
    }
}
