import ProxyPolicy
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

/// PROTOCOL 59: the beginning, failure and end of associations at parents.
@Suite struct ParentAssociationTests {
    // MARK: - Begin

    @Test func theParentIsAskedForTheFirstDatagramAndNotBefore() async throws {
        try await withScriptedParent { port, parent, _ in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            let other = try TestAssociation(through: port)
            defer { other.close() }
            try other.send([1], to: .far)
            let asked = try ScriptedAssociation(at: parent)
            defer { asked.close() }
            #expect(try asked.receive().payload == [1])
            #expect(!parent.listener.hasConnection)
        }
    }

    @Test(arguments: [Destination.unspecified, Destination(host: .ipv6(.any), port: 0)])
    func anUnspecifiedAddressIsTheOneOfTheParent(_ told: Destination) async throws {
        try await withScriptedParent { port, parent, _ in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            try client.send([1], to: .far)
            let asked = try ScriptedAssociation(at: parent) { Destination(host: told.host, port: UInt16($0)) }
            defer { asked.close() }
            let received = try asked.receive()
            #expect(received.payload == [1] && received.target == .far)
            try asked.send([2], from: .far, to: received.sender)
            #expect(try client.receive().payload == [2])
        }
    }

    @Test(arguments: [
        Destination(name: "relay.test", port: 7),
        Destination(host: .ipv4(IPv4Address(127, 0, 0, 1)), port: 0),
    ])
    func anUnusableRelayAddressIsTheParentsFault(_ told: Destination) async throws {
        try await withScriptedParent { port, parent, server in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            try client.send([1], to: .far)
            let asked = try ScriptedAssociation(at: parent) { _ in told }
            defer { asked.close() }
            try eventually("it is dropped") { server.statistics.datagramsDropped(.noWay) == 1 }
            try asked.control.waitForClose()
        }
    }

    @Test func datagramsThatComeMeanwhileAreHeldWithinLimits() async throws {
        try await withScriptedParent { port, parent, server in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            for number in UInt8(0)..<40 { try client.send([number], to: .far) }
            try eventually("24 are too many") { server.statistics.datagramsDropped(.queueFull) == 24 }
            let asked = try ScriptedAssociation(at: parent)
            defer { asked.close() }
            for number in UInt8(0)..<16 { #expect(try asked.receive().payload == [number]) }
            try client.send([50], to: .far)
            #expect(try asked.receive().payload == [50])
        }
    }

    /// Whatever the client waits for, everything is cleaned up.
    @Test func aClientThatLeavesMeanwhileLeavesTheParentToo() async throws {
        try await withScriptedParent { port, parent, _ in
            for stage in 0..<3 {
                let client = try TestAssociation(through: port)
                try client.send([1], to: .far)
                let asked = try parent.accept()
                defer { asked.close() }
                if stage > 0 { _ = try asked.takeRequest() }
                if stage > 1 { try asked.send(SOCKSResponse(reply: .succeeded, boundAddress: .loopback(7))) }
                client.close()
                try asked.waitForClose()
            }
        }
    }

    // MARK: - Failure

    /// The client's association continues, and so do its datagrams by other ways.
    @Test(
        arguments: [[], [5, 0xff], [5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0], [5, 0, 5, 9, 0, 1], [4]] as [[UInt8]]
    )
    func withoutAParentDatagramsAreDroppedAndCounted(_ answer: [UInt8]) async throws {
        let sessions = RecordedSessions()
        try await withScriptedParent({
            $0.observer = sessions
            $0.routes[0].networks = [try IPNetwork(parsing: "192.0.2.0/24")]
        }) { port, parent, server in
            let client = try TestAssociation(through: port)
            for _ in 0..<3 { try client.send([1], to: .far) }
            let asked = try parent.accept()
            try asked.send(answer)
            if answer.count < 3 { asked.endSending() }
            try eventually("all are dropped") { server.statistics.datagramsDropped(.noWay) == 3 }
            try asked.waitForClose()
            asked.close()
            let target = try TestDatagramSocket()
            defer { target.close() }
            try client.expectEcho(of: [2], from: target)
            // The parent isn't asked for each datagram.
            try client.send([1], to: .far)
            try eventually("it is dropped") { server.statistics.datagramsDropped(.noWay) == 4 }
            #expect(!parent.listener.hasConnection)
            client.close()
            let session = try sessions.next(after: 0)
            #expect(session.parent == "up" && session.outcome == .completed && session.reason == nil)
            #expect(session.datagrams?[.noWay] == 4)
        }
    }

    @Test func aSilentParentIsGivenUpAfterTheDialTimeout() async throws {
        try await withScriptedParent({ $0.timeouts.dial = .milliseconds(300) }) { port, parent, server in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            try client.send([1], to: .far)
            let asked = try parent.accept()
            defer { asked.close() }
            try eventually("it is dropped") { server.statistics.datagramsDropped(.noWay) == 1 }
            try asked.waitForClose()
        }
    }

    /// Even if one has answered: the answer is about itself, not about a target.
    @Test(arguments: [[5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0], [5, 0xff], []] as [[UInt8]])
    func theNextOfAGroupTakesOver(_ answer: [UInt8]) async throws {
        let bad = try ScriptedParent()
        defer { bad.close() }
        let sessions = RecordedSessions()
        try await withParents([{ _ in }]) { server, ports in
            server.parents = [
                Parent("page", .http, port: 1), Parent("bad", port: bad.port), Parent("good", port: ports[0]),
            ]
            server.parentGroups = [ParentGroup("all", anyOf: ["page", "bad", "good"].map { .init($0) })]
            server.routes = [Route(.parent("all"))]
            server.observer = sessions
        } _: { port, _ in
            let client = try TestAssociation(through: port)
            let target = try TestDatagramSocket()
            defer { target.close() }
            try client.send([1], to: target.address)
            let asked = try bad.accept()
            try asked.send(answer)
            asked.endSending()
            try target.echo()
            #expect(try client.receive().payload == [1])
            asked.close()
            client.close()
            #expect(try sessions.next(after: 0).parent == "good")
        }
    }

    @Test func parentsThatCanNotPassDatagramsOnAreAnswered07() async throws {
        let sessions = RecordedSessions()
        let place = Parent.Place.unix(path: "/nowhere")
        try await withServer({
            $0.parents = [
                Parent("page", .http, port: 1), Parent("four", .socks4, port: 1),
                Parent("up", port: 1), Parent("behind", port: 1), Parent("local", .socks5, at: place),
            ]
            $0.parents[3].through = "up"
            let names = ["page", "four", "behind", "local"]
            $0.parentGroups = [ParentGroup("none", anyOf: names.map { .init($0) })]
            var unused = Route(.parent("up"))
            unused.users = [Array("alice".utf8)]
            $0.routes = [unused, Route(.parent("none")), Route(.direct)]
            $0.observer = sessions
        }) { port in
            try expect(.commandNotSupported, through: port, to: .unspecified, by: .udpAssociate)
            let session = try sessions.next(after: 0)
            #expect(session.route == "route 2" && session.parent == "none")
            #expect(session.reason == "no word for this in the protocol of the parent")
        }
    }

    /// Because others could still take another way.
    @Test func datagramsForParentsThatTakeNoneAreDropped() async throws {
        try await withScriptedParent({
            $0.parents.append(Parent("page", .http, port: 1))
            var other = Route(.parent("page"))
            other.ports = [PortRange(53...53)]
            $0.routes = [other]
        }) { port, _, server in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            try client.send([1], to: .far)
            try eventually("it is dropped") { server.statistics.datagramsDropped(.noWay) == 1 }
            let target = try TestDatagramSocket()
            defer { target.close() }
            try client.expectEcho(of: [2], from: target)
        }
    }

    // MARK: - End

    @Test(arguments: [false, true]) func theEndOfTheParentsConnectionIsTheEnd(_ resets: Bool) async throws {
        let sessions = RecordedSessions()
        try await withScriptedParent({ $0.observer = sessions }) { port, parent, _ in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            try client.send([1], to: .far)
            let asked = try ScriptedAssociation(at: parent)
            let sender = try asked.receive().sender
            // Bytes on the control connection mean nothing.
            try asked.control.send([UInt8](repeating: 5, count: 100_000))
            try asked.send([2], from: .far, to: sender)
            #expect(try client.receive().payload == [2])
            if resets { asked.control.reset() } else { asked.control.close() }
            asked.relay.close()
            try client.connection.waitForClose()
            let session = try sessions.next(after: 0)
            #expect(session.outcome == (resets ? .abortedByTarget : .completed))
            #expect(session.endedBy == .target && session.parent == "up")
        }
    }

    // MARK: - Bounds

    @Test func anAssociationHasAFewWaysAtOnce() async throws {
        let parents = try (0..<5).map { _ in try ScriptedParent() }
        defer { for parent in parents { parent.close() } }
        try await withServerObject({
            for (index, parent) in parents.enumerated() {
                $0.parents.append(Parent("p\(index)", port: parent.port))
                var route = Route(.parent("p\(index)"))
                route.ports = [PortRange(UInt16(index + 1)...UInt16(index + 1))]
                $0.routes.append(route)
            }
        }) { server, port in
            let client = try TestAssociation(through: port)
            defer { client.close() }
            for index in parents.indices {
                try client.send([1], to: Destination(host: Destination.far.host, port: UInt16(index + 1)))
            }
            for parent in parents[..<4] {
                let asked = try ScriptedAssociation(at: parent)
                defer { asked.relay.close() }
                #expect(try asked.receive().payload == [1])
            }
            try eventually("the last one is dropped") { server.statistics.datagramsDropped(.noWay) == 1 }
            #expect(!parents[4].listener.hasConnection)
        }
    }

    /// The first way uses the association's place; each further one takes a place, and gives it back.
    @Test func eachFurtherWayTakesAPlace() async throws {
        try await withScriptedParent({
            $0.maxConnections = 3
            $0.workers = 1
            $0.routes[0].networks = [try IPNetwork(parsing: "192.0.2.0/24")]
        }) { port, parent, server in
            let target = try TestDatagramSocket()
            defer { target.close() }
            for round in 1...2 {
                let client = try TestAssociation(through: port)
                try client.expectEcho(of: [1], from: target)
                let other = try TestSocket(connectingTo: port)
                _ = try other.request(.connect, .loopback(parent.port))
                try parent.accept().close()
                try client.send([1], to: .far)
                try eventually("there is no place") { server.statistics.datagramsDropped(.noWay) == round }
                other.close()
                try eventually("its place is free") { server.statistics.active == 1 }
                try client.send([2], to: .far)
                let asked = try ScriptedAssociation(at: parent)
                #expect(try asked.receive().payload == [2])
                let late = try TestSocket(connectingTo: port)
                try late.waitForClose()
                late.close()
                client.close()
                try asked.control.waitForClose()
                asked.close()
                try eventually("all is over") { server.statistics.active == 0 }
            }
        }
    }
}
