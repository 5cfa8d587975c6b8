import Glibc
import Locks
import SOCKS5Protocol
import TestSupport
import Testing

@testable import SOCKS5Server

/// A parent that can leave, and come back at the same place.
private final class Member: Sendable {
    let path = "/tmp/socks5d-test-\(UInt64.random(in: 0...UInt64.max)).sock"
    private let server = Guarded<ProxyServer?>(nil)

    func parent(_ name: String) -> Parent { Parent(name, .socks5, at: .unix(path: path)) }

    @discardableResult
    func start() async throws -> ProxyServer {
        var configuration = Configuration()
        configuration.listen = [try ListenAddress(unix: path)]
        configuration.workers = 1
        let started = try ProxyServer(configuration: configuration, logger: suiteLogger)
        try await started.start()
        server.withLock { $0 = started }
        return started
    }

    /// - Returns: the sessions that were ended by this.
    @discardableResult
    func stop() async -> UInt64 {
        guard let stopped = server.withLock({ $0 }) else { return 0 }
        await stopped.stop(grace: .zero)
        return stopped.metrics().ended.reduce(0) { $0 + ($1.outcome == .stopped ? $1.count : 0) }
    }
}

/// Clients that each have several connections open at once, and use each again before they close it.
private struct Load {
    /// The results of connections.
    struct Counts {
        var began = 0
        var failed = 0
    }

    let counts = Guarded(Counts())
    let threads: [TestThread]

    init(through port: Int, threads: Int, connections: Int) {
        self.threads = (0..<threads).map { [counts] _ in
            TestThread {
                let listener = try TestListener()
                defer { listener.close() }
                var open: [(client: TestSocket, target: TestSocket)] = []
                defer { for pair in open { Self.close(pair) } }
                for number in 0..<connections {
                    counts.withLock { $0.began += 1 }
                    do {
                        open.append(
                            try Self.connect(through: port, to: listener, UInt8(truncatingIfNeeded: number))
                        )
                    } catch {
                        counts.withLock { $0.failed += 1 }
                    }
                    if open.count > 8 { Self.use(open.removeFirst(), counts) }
                }
                while let pair = open.popLast() { Self.use(pair, counts) }
            }
        }
    }

    /// Skips connections at the target that another parent has left behind.
    private static func connect(through port: Int, to listener: TestListener, _ mark: UInt8) throws -> (
        client: TestSocket, target: TestSocket
    ) {
        let client = try TestSocket.tunnel(through: port, to: .loopback(listener.port))
        do {
            try client.send([mark])
            while true {
                try eventually("a connection, or the end") { listener.hasConnection || client.hasBytes }
                guard listener.hasConnection else { throw TestFailure("the connection has ended") }
                let target = try listener.accept()
                if (try? target.receive(1)) == [mark] { return (client, target) }
                target.close()
            }
        } catch {
            client.close()
            throw error
        }
    }

    private static func use(_ pair: (client: TestSocket, target: TestSocket), _ counts: Guarded<Counts>) {
        defer { close(pair) }
        do {
            try pair.target.send([7])
            guard try pair.client.receive(1) == [7] else { throw TestFailure("another byte") }
        } catch {
            counts.withLock { $0.failed += 1 }
        }
    }

    private static func close(_ pair: (client: TestSocket, target: TestSocket)) {
        pair.client.close()
        pair.target.close()
    }
}

@Suite struct ParentGroupTests {
    private static let names = ["a", "b", "c"]

    /// Runs a server with a group of three.
    private static func withGroup(
        _ choice: ParentGroup.Choice,
        _ log: RecordedLog = RecordedLog(),
        check: ParentGroup.Check? = nil,
        _ body: @escaping @Sendable (ProxyServer, Int, [Member]) throws -> Void
    ) async throws {
        let members = names.map { _ in Member() }
        try await attempt {
            for member in members { try await member.start() }
            try await withServerObject(logger: log.logger) { configuration in
                configuration.parents = zip(names, members).map { $1.parent($0) }
                var group = ParentGroup("all", anyOf: names.map { .init($0) })
                group.choice = choice
                group.check = check
                configuration.parentGroups = [group]
                configuration.routes = [Route(.parent("all"))]
            } _: {
                try body($0, $1, members)
            }
        } then: {
            for member in members { await member.stop() }
        }
    }

    private static func parent(_ name: String, of server: ProxyServer) throws -> MetricsSnapshot.Parent {
        try #require(server.metrics().parents.first { $0.name == name })
    }

    private static func count(_ result: ParentResult, _ name: String, of server: ProxyServer) throws -> UInt64
    {
        try parent(name, of: server).connections.first { $0.result == result }?.count ?? 0
    }

    /// A second line within a second waits for the next connection.
    private static func expectOneChange(in log: RecordedLog, through port: Int) throws {
        try eventually("the log says it") {
            try expectRelaying(through: port)
            return log.count(of: "parent up") > 0
        }
        #expect(log.count(of: "parent down") == 1 && log.count(of: "parent up") == 1)
    }

    @Test func aMemberThatDiesUnderLoadFailsNoMoreThanWasInsideAndIsBackWithTheFirstCheck() async throws {
        let log = RecordedLog()
        let checked = try TestListener()
        defer { checked.close() }
        let target = Target.address(.ipv4(IPv4Address(127, 0, 0, 1)), port: UInt16(checked.port))
        let check = ParentGroup.Check(every: .seconds(1), to: target)
        try await Self.withGroup(.roundRobin, log, check: check) { server, port, members in
            let load = Load(through: port, threads: 4, connections: 75)
            try eventually("some load") { load.counts.withLock { $0.began } >= 100 }
            let inside = try awaited { await members[0].stop() }
            for thread in load.threads { try thread.join() }
            let counts = load.counts.withLock { $0 }
            #expect(counts.began == 300 && counts.failed <= inside, "\(counts.failed) of \(inside)")
            try eventually("it is down") { try !Self.parent("a", of: server).isUp }
            let others = try Self.names.dropFirst().map { try Self.parent($0, of: server).isUp }
            #expect(others == [true, true])
            let before = try Self.count(.opened, "a", of: server)

            let back = try awaited { try? await members[0].start() }
            try eventually("it is up") { try Self.parent("a", of: server).isUp }
            #expect(back?.statistics[.accepted] == 1, "checks that it took")
            for _ in 0..<3 { try expectRelaying(through: port) }
            #expect(try Self.count(.opened, "a", of: server) == before + 1)
            try Self.expectOneChange(in: log, through: port)
        }
    }

    /// Three clients find out that it refuses, and then one at a time after it has rested.
    @Test func aMemberThatRefusesIsSoonSkipped() async throws {
        let log = RecordedLog()
        try await Self.withGroup(.inOrder, log) { server, port, members in
            _ = try awaited { await members[0].stop() }
            let began = monotonicMilliseconds()
            for _ in 0..<30 { try expectRelaying(through: port) }
            let trials = (monotonicMilliseconds() - began) / 750
            let failed = try Self.count(.unreachable, "a", of: server)
            #expect(failed >= 3 && failed <= 3 + trials, "\(failed)")
            #expect(try Self.count(.opened, "b", of: server) == 30)
            #expect(log.count(of: "parent down") == 1)
            _ = try awaited { try? await members[0].start() }
            try eventually("a client tries it again") {
                try expectRelaying(through: port)
                return try Self.count(.opened, "a", of: server) > 0
            }
            try Self.expectOneChange(in: log, through: port)
            #expect(try Self.parent("a", of: server).isUp)
        }
    }

    @Test func aSilentMemberCostsOneClientItsShareOfTheTime() async throws {
        let hole = try Blackhole()
        defer { hole.close() }
        try await withParents([{ _ in }]) { server, ports in
            server.timeouts.dial = .seconds(1)
            server.parents = [Parent("silent", port: hole.port), Parent("good", port: ports[0])]
            server.parentGroups = [ParentGroup("all", anyOf: [.init("silent"), .init("good")])]
            server.routes = [Route(.parent("all"))]
        } _: { server, port, _ in
            try expectRelaying(through: port)
            let began = monotonicMilliseconds()
            #expect(try Self.count(.timedOut, "silent", of: server) == 1)
            for _ in 0..<10 { try expectRelaying(through: port) }
            let trials = (monotonicMilliseconds() - began) / 750
            #expect(try Self.count(.timedOut, "silent", of: server) <= 1 + trials)
        }
    }

    @Test func clientsAreServedEvenIfAllMembersAreDown() async throws {
        try await Self.withGroup(.random) { server, port, members in
            for member in members { _ = try awaited { await member.stop() } }
            for _ in 0..<5 { try expect(.generalFailure, through: port, to: .loopback(1)) }
            #expect(server.metrics().parents.allSatisfy { !$0.isUp })
            _ = try awaited { try? await members[1].start() }
            try expectRelaying(through: port)
            #expect(try Self.parent("b", of: server).isUp)
        }
    }

    @Test func anAnswerDoesNotCountAsAFailureOfTheMember() async throws {
        try await Self.withGroup(.inOrder) { server, port, _ in
            let deaf = TestListener.unusedPort()
            for _ in 0..<5 { try expect(.connectionRefused, through: port, to: .loopback(deaf)) }
            #expect(try Self.count(.answered, "a", of: server) == 5)
            #expect(
                try Self.parent("a", of: server).isUp && Self.parent("a", of: server).connectTimes.count == 5
            )
        }
    }

    @Test func sessionsGoToTheWorkerWithTheFewestAndAreCountedUntilTheirEnd() async throws {
        try await Self.withGroup(.leastSessions) { server, port, _ in
            let target = try TestListener()
            defer { target.close() }
            let clients = try (0..<9).map { _ in
                try TestSocket.tunnel(through: port, to: .loopback(target.port))
            }
            #expect(server.metrics().parents.map(\.sessions) == [3, 3, 3])
            for client in clients.dropFirst(3) { client.reset() }
            try eventually("three are left") {
                server.metrics().parents.reduce(0) { $0 + $1.sessions } == 3
            }
            for client in clients.prefix(3) { client.reset() }
            try eventually("none is left") { server.metrics().parents.allSatisfy { $0.sessions == 0 } }
        }
    }

    @Test(arguments: [ParentGroup.Choice.sameForUser, .sameForDestination])
    func requestsForTheSameTargetGetTheSameMember(_ choice: ParentGroup.Choice) async throws {
        try await Self.withGroup(choice) { server, port, _ in
            for _ in 0..<9 { try expectRelaying(through: port) }
            let opened = try Self.names.map { try Self.count(.opened, $0, of: server) }
            #expect(opened.sorted() == [0, 0, 9])
        }
    }

    /// Clients leave at any stage; the harness checks that all places are free at the end.
    @Test func clientsThatLeaveAtAnyMomentLeaveNoState() async throws {
        try await Self.withGroup(.leastSessions) { server, port, members in
            _ = try awaited { await members[2].stop() }
            let target = try TestListener()
            defer { target.close() }
            var generator = SeededGenerator(seed: 11)
            for _ in 0..<200 {
                let client = try TestSocket(connectingTo: port)
                try client.send(Greeting(methods: [.noAuthentication]))
                let step = Int.random(in: 0...3, using: &generator)
                if step > 0 {
                    try client.send(SOCKSRequest(command: .connect, destination: .loopback(target.port)))
                }
                if step > 1 { _ = try client.receive(MethodSelection.self) }
                if step > 2 { _ = try client.receive(SOCKSResponse.self) }
                client.reset()
            }
            try eventually("the end") { server.statistics.active == 0 }
            #expect(server.metrics().parents.allSatisfy { $0.sessions == 0 })
        }
    }

    @Test func aReloadForgetsNothingOfMembersThatStay() async throws {
        try await Self.withGroup(.inOrder) { server, port, members in
            for member in members { _ = try awaited { await member.stop() } }
            for _ in 0..<3 { try expect(.generalFailure, through: port, to: .loopback(1)) }
            var configuration = server.configuration
            configuration.rules = [Rule(.allow)]
            configuration.parents[1].kind = .http
            try server.reload(configuration)
            #expect(server.metrics().parents.map(\.isUp) == [false, true, false])
            #expect(try Self.count(.unreachable, "b", of: server) == 3)
        }
    }

    /// It ends with the server, and with a reload, as the harness checks.
    @Test func aCheckThatIsNotAnsweredEndsInTime() async throws {
        let silent = try ScriptedParent()
        defer { silent.close() }
        try await withServerObject { configuration in
            configuration.timeouts.dial = .milliseconds(300)
            configuration.parents = [Parent("silent", port: silent.port)]
            var group = ParentGroup("all", anyOf: [.init("silent")])
            group.check = .init(every: .seconds(1), to: .address(.ipv4(IPv4Address(127, 0, 0, 1)), port: 9))
            configuration.parentGroups = [group]
            configuration.routes = [Route(.parent("all"))]
        } _: { server, _ in
            try eventually("it is down") { server.metrics().parents.allSatisfy { !$0.isUp } }
            try silent.accept().close()
            #expect(server.isCutOff)
            let second = try silent.accept()
            defer { second.close() }
            #expect(try second.receive(Greeting.self).methods == [.noAuthentication])
            try server.reload(server.configuration)
            try second.waitForClose()
            #expect(server.statistics[.accepted] == 0, "a check counts as a session")
        }
    }

    @Test func checksThatMakeNoSenseAreRefused() {
        let target = Target.address(.ipv4(IPv4Address(127, 0, 0, 1)), port: 9)
        let checks = [
            ParentGroup.Check(every: .milliseconds(999), to: target),
            .init(every: .seconds(86_401), to: target),
            .init(every: .seconds(10), to: .address(.ipv4(IPv4Address(127, 0, 0, 1)), port: 0)),
        ]
        expectInvalid(
            checks.map { check in
                { configuration in
                    configuration.parents = [Parent("a", port: 1)]
                    configuration.parentGroups = [ParentGroup("all", anyOf: [.init("a")])]
                    configuration.parentGroups[0].check = check
                }
            }
        ) { $0.contains("parent 'all' is checked") }
    }
}
