import Glibc
import Locks
import SOCKS5Protocol
import TestSupport
import Testing

@testable import ProxyPolicy
@testable import SOCKS5Server

/// The counts that a server without sessions must have.
func expectAgreement(of server: ProxyServer, sourceLocation: SourceLocation = #_sourceLocation) {
    let (metrics, numbers) = (server.metrics(), server.statistics)
    let accepted = metrics.listeners.reduce(0) { $0 + $1.accepted }
    let running = metrics.listeners.reduce(0) { $0 + $1.sessions.reduce(0) { $0 + $1.count } }
    #expect(accepted == UInt64(numbers[.accepted]), sourceLocation: sourceLocation)
    #expect(running == 0, sourceLocation: sourceLocation)
    #expect(metrics.ended.reduce(0) { $0 + $1.count } == accepted, sourceLocation: sourceLocation)
    #expect(metrics.sessionTimes.count == accepted, sourceLocation: sourceLocation)
    let handshakes = metrics.listeners.reduce(0) { $0 + $1.handshakes.reduce(0) { $0 + $1.count } }
    #expect(handshakes == accepted, sourceLocation: sourceLocation)
    #expect(metrics.users.allSatisfy { $0.sessions == 0 }, sourceLocation: sourceLocation)
    #expect(metrics.pipesInUse == 0, sourceLocation: sourceLocation)
    #expect(metrics.parents.allSatisfy { $0.sessions == 0 }, sourceLocation: sourceLocation)
}

@Suite struct MetricsTests {
    private static let users = [
        ProxyUser(name: "alice", password: "a"), ProxyUser(name: "bob", password: "b"),
    ]

    private func tunnel(_ user: String, through proxy: Int, to port: Int) throws -> TestSocket {
        let client = try TestSocket(connectingTo: proxy)
        try client.send(Greeting(methods: [.usernamePassword]))
        try client.send(Credentials(username: user, password: String(user.prefix(1))))
        try client.send(SOCKSRequest(command: .connect, destination: .loopback(port)))
        _ = try client.receive(MethodSelection.self)
        _ = try client.receive(AuthenticationStatus.self)
        #expect(try client.receive(SOCKSResponse.self).reply == .succeeded)
        return client
    }

    private static func user(_ name: String?, _ metrics: MetricsSnapshot) throws -> MetricsSnapshot.User {
        try #require(metrics.users.first { $0.name == name.map { Array($0.utf8) } })
    }

    @Test(arguments: Splicing.allCases)
    func bytesAreCountedPerDirectionAndUserWhileSessionsRun(_ splicing: Splicing) async throws {
        try await withServerObject({
            $0.users = Self.users
            $0.splicing = splicing
        }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            var random = SeededGenerator(seed: 3)
            var expected: [String: (sent: Int, received: Int)] = ["alice": (0, 0), "bob": (0, 0)]
            for round in 0..<8 {
                let name = round % 3 == 0 ? "bob" : "alice"
                let client = try tunnel(name, through: port, to: listener.port)
                let target = try listener.accept()
                let (sent, received) = (
                    Int.random(in: 1...200_000, using: &random), Int.random(in: 1...200_000, using: &random)
                )
                try client.send(random.bytes(sent))
                _ = try target.receive(sent)
                try target.send(random.bytes(received))
                _ = try client.receive(received)
                expected[name]?.sent += sent
                expected[name]?.received += received
                let sums = expected.values.reduce((0, 0)) { ($0.0 + $1.sent, $0.1 + $1.received) }
                try eventually("the bytes of a session that runs are counted") {
                    let metrics = server.metrics()
                    let user = try Self.user(name, metrics)
                    return Int(user.bytesClientToTarget) == expected[name]?.sent
                        && Int(user.bytesTargetToClient) == expected[name]?.received && user.sessions == 1
                        && metrics.statistics[.bytesClientToTarget] == sums.0
                        && metrics.statistics[.bytesTargetToClient] == sums.1
                }
                client.close()
                target.close()
                try eventually("the end") { server.statistics.active == 0 }
            }
            let metrics = server.metrics()
            #expect(metrics.users.map(\.name) == [Array("alice".utf8), Array("bob".utf8), nil])
            #expect(try Self.user(nil, metrics).bytesClientToTarget == 0)
            #expect(metrics.statistics[.succeededLogins] == 8)
            let spliced = metrics.statistics[.splicedClientToTarget]
            #expect(splicing == .never ? spliced == 0 : spliced <= metrics.statistics[.bytesClientToTarget])
            expectAgreement(of: server)
        }
    }

    @Test func datagramsAreCountedForTheirUserAndApart() async throws {
        try await withServerObject { server, port in
            let target = try TestDatagramSocket()
            defer { target.close() }
            let association = try TestAssociation(through: port)
            for size in [10, 20, 30] {
                try association.expectEcho(of: [UInt8](repeating: 1, count: size), from: target)
            }
            try eventually("all are counted") { server.statistics[.bytesTargetToClient] == 60 }
            let numbers = server.metrics().statistics
            #expect(numbers[.bytesClientToTarget] == 60 && numbers[.datagramBytesClientToTarget] == 60)
            #expect(numbers[.datagramsClientToTarget] == 3 && numbers[.datagramsTargetToClient] == 3)
            let sessions = server.metrics().listeners[0].sessions
            #expect(sessions.first { $0.command == .udpAssociate }?.count == 1)
            association.close()
            try eventually("the end") { server.statistics.active == 0 }
            expectAgreement(of: server)
        }
    }

    @Test func theWaitForAPeerIsNoTimeOfDialling() async throws {
        try await withServerObject { server, port in
            let client = try TestSocket(connectingTo: port)
            defer { client.close() }
            let bound = try client.request(.bind, .unspecified).boundAddress
            let peer = try TestSocket(connectingTo: Int(bound.port))
            defer { peer.close() }
            #expect(try client.receive(SOCKSResponse.self).reply == .succeeded)
            #expect(server.metrics().dialTimes.count == 0)
        }
    }

    @Test func refusalsAreCountedByTheirCause() async throws {
        try await withServerObject({
            $0.rules = [Rule(.allow, ports: [PortRange(1...1023)]), Rule(.deny)]
            $0.limits.connectionsPerSource = 1
        }) { server, port in
            try expect(.notAllowed, through: port, to: .loopback(2000))
            try eventually("the end") { server.statistics.active == 0 }
            try expect(.connectionRefused, through: port, to: .loopback(1))
            try eventually("the end") { server.statistics.active == 0 }
            let first = try TestSocket(connectingTo: port)
            try eventually("a session") { server.statistics.active == 1 }
            let second = try TestSocket(connectingTo: port)
            try second.waitForClose()
            for socket in [first, second] { socket.close() }
            try eventually("the end") { server.statistics.active == 0 }
            let metrics = server.metrics()
            #expect(metrics.decisions.first { $0.decision == .rule(2) }?.count == 1)
            #expect(metrics.decisions.first { $0.decision == .allowed }?.count == 0)
            let attempts = metrics.connectAttempts.filter { $0.count > 0 }
            #expect(attempts.count == 1 && attempts[0].result == .refused && !attempts[0].isIPv6)
            #expect(metrics.ended.contains { $0.command == .connect && $0.outcome == .deniedByRule })
            #expect(metrics.ended.contains { $0.command == nil && $0.outcome == .probe })
            #expect(
                metrics.replies.contains {
                    $0.command == .connect && $0.reply == .notAllowed && $0.count == 1
                }
            )
            let refused = metrics.listeners[0].refused.filter { $0.count > 0 }
            #expect(refused.count == 1 && refused[0].reason == .connectionsPerSource)
            #expect(metrics.dialTimes.count == 1 && metrics.handshakeTimes.count == 2)
            expectAgreement(of: server)
        }
    }

    @Test func usersWithoutTheirOwnNumbersCountTogether() throws {
        let table = AccountTable { _ in }
        let names = (0..<1002).map { Array("user\($0)".utf8) }
        table.name(names)
        #expect(table.named.count == AccountTable.mostNamed)
        let named = try table.enter(names[0], nil, now: 1)
        let others = try [names[1000], names[1001]].map { try table.enter($0, nil, now: 1) }
        for (worker, account) in [named, others[0], others[1], others[1]].enumerated() {
            account.activity.tally(ofWorker: worker % 2).add(10, .clientToTarget)
        }
        #expect(named.activity.bytes == (10, 0) && table.others.bytes == (30, 0))
        #expect(named.activity.sessions == 1 && table.others.sessions == 2)
        for account in [named] + others { account.leave() }
        #expect(named.activity.sessions == 0 && table.others.sessions == 0)
        // Forgotten users still count.
        for number in 0..<5000 { try table.enter(Array("\(number)".utf8), nil, now: 1).leave() }
        #expect(table.others.bytes == (30, 0) && table.named.count == AccountTable.mostNamed)
    }

    @Test func usedQuotasAreReportedWithoutALock() throws {
        let day = try #require(UTCDay(parsing: Array("2026-01-14".utf8)))
        let quota = Quota(bytes: 100, period: .week)
        var usage = QuotaUsage()
        _ = usage.add(40, quota, day)
        let table = AccountTable(clock: { day }) { _ in }
        table.name([[1]])
        table.restore([[2]: usage])
        table.name([[2]])
        #expect(table.named[1].account.used(of: quota, day) == 40)
        #expect(table.named[1].account.used(of: quota, day.advanced(by: 7)) == 0)
        let account = table.named[0].account
        #expect(account.used(of: quota, day) == 0)
        #expect(!account.use(99, quota, day))
        #expect(account.used(of: quota, day) == 99 && account.used(of: quota, day.advanced(by: 7)) == 0)
    }

    @Test func turnsAndProcessorTimeOfWorkersAreReported() async throws {
        let server = try await withServerObject { server, port in
            try expect(.connectionRefused, through: port, to: .loopback(1))
            let workers = server.metrics().workers
            #expect(workers.count == 2)
            #expect(workers.reduce(0) { $0 + $1.turns.count } > 0)
            #expect(workers.contains { $0.processorTime > 0 })
            return server
        }
        try await onThread {
            var last: [Double] = []
            // The stop doesn't wait for the last instructions of a thread.
            try eventually("times of threads that have ended") {
                let now = server.metrics().workers.map(\.processorTime)
                defer { last = now }
                return now == last && now.allSatisfy { $0 > 0 }
            }
        }
        #expect(server.metrics().isDraining)
    }

    @Test func failedLoginsAndBansAreCounted() async throws {
        try await withServerObject({
            $0.users = Self.users
            var ban = LoginBan()
            ban.failures = 1
            $0.loginBan = ban
        }) { server, port in
            #expect(server.metrics().bans == 0)
            let client = try TestSocket(connectingTo: port)
            try client.send(Greeting(methods: [.usernamePassword]))
            try client.send(Credentials(username: "alice", password: "wrong"))
            _ = try client.receive(MethodSelection.self)
            try eventually("a failed login") { server.statistics[.failedLogins] == 1 }
            client.close()
            #expect(server.metrics().bans == 1)
            let second = try TestSocket(connectingTo: port)
            defer { second.close() }
            try second.waitForClose()
            let refused = server.metrics().listeners[0].refused
            #expect(refused.first { $0.reason == .banned }?.count == 1)
            try eventually("the end") { server.statistics.active == 0 }
            let handshakes = server.metrics().listeners[0].handshakes
            #expect(handshakes.first { $0.result == .ended(.loginFailed) }?.count == 1)
        }
    }

    private struct Names: NameResolver {
        func resolve(_ name: String) -> ResolverAnswer { .now(.addresses([.ipv4(IPv4Address.loopback)])) }
    }

    @Test func namesAreCountedByWhetherTheCacheHasThem() async throws {
        try await withServerObject({ $0.nameResolver = Names() }) { server, port in
            let name = try #require(DomainName("here.example"))
            for _ in 0..<3 {
                try expect(.connectionRefused, through: port, to: Destination(host: .name(name), port: 1))
            }
            let lookups = server.metrics().lookups
            // A cached answer whose addresses don't respond is looked up again.
            #expect(lookups.cacheMisses >= 1 && lookups.cacheHits >= 1)
            #expect(lookups.running == 0 && lookups.waiting == 0 && lookups.refused == 0)
            #expect(server.metrics().lookupTimes.count == 3)
        }
    }

    @Test func reloadsAreCountedByTheirResult() async throws {
        try await withServerObject { server, _ in
            let start = try #require(server.metrics().reloads.lastSuccess)
            #expect(server.metrics().reloads.succeeded == 0)
            var configuration = Configuration()
            try server.reload(configuration)
            configuration.users = [ProxyUser(name: "", password: "x")]
            #expect(throws: ProxyServerError.self) { try server.reload(configuration) }
            let reloads = server.metrics().reloads
            #expect(reloads.succeeded == 1 && reloads.failed == 1)
            #expect(try #require(reloads.lastSuccess) >= start)
        }
    }

    /// Blocks its worker, as no observer should.
    private struct Sluggish: SessionObserver {
        func observe(_ event: SessionEvent) { if case .ended = event { usleep(60_000) } }
    }

    @Test func aTurnThatTakesLongShows() async throws {
        try await withServerObject({
            $0.workers = 1
            $0.observer = Sluggish()
        }) { server, port in
            try TestSocket(connectingTo: port).close()
            try eventually("a long turn, and those beside it") {
                let turns = server.metrics().workers[0].turns
                let (short, long) = (turns.buckets.first { $0.bound == 0.05 }, turns.count)
                return short.map { $0.count > 0 && long > $0.count } == true && turns.sum >= 0.055
            }
        }
    }

    @Test func theDocumentedLinesForSwiftMetricsCompile() throws {
        let example = try readFile("\(projectFolder)/Tests/SOCKS5ServerTests/MetricsExample.swift")
        let code = try #require(example.split(separator: "func report").last)
        let text = try readFile(
            "\(projectFolder)/Sources/SOCKS5Server/Documentation.docc/SOCKS5Server.md"
        )
        #expect(text.contains("```swift\nfunc report\(code)```\n"))
    }

    @Test func countsNeverFall() async throws {
        try await withServerObject({ $0.users = Self.users }) { server, port in
            let isOver = Guarded(false)
            let listener = try TestListener()
            let load = TestThread {
                defer { isOver.withLock { $0 = true } }
                for _ in 0..<100 {
                    let client = try tunnel("alice", through: port, to: listener.port)
                    let target = try listener.accept()
                    try client.send([1])
                    _ = try target.receive(1)
                    client.close()
                    target.close()
                }
            }
            var last = Self.counts(of: server.metrics())
            while !isOver.withLock({ $0 }) {
                let next = Self.counts(of: server.metrics())
                for (name, count) in last { #expect(next[name] ?? 0 >= count, "\(name)") }
                last = next
            }
            try load.join()
            listener.close()
        }
    }

    private static func counts(of metrics: MetricsSnapshot) -> [String: UInt64] {
        var counts: [String: UInt64] = [:]
        for counter in Counter.allCases { counts["\(counter)"] = UInt64(metrics.statistics[counter]) }
        for (command, outcome, count) in metrics.ended {
            counts["\(String(describing: command)) \(outcome)"] = count
        }
        for listener in metrics.listeners {
            counts["accepted"] = listener.accepted
            for (result, count) in listener.handshakes { counts["\(result)"] = count }
        }
        for user in metrics.users {
            counts["\(String(describing: user.name))"] = user.bytesClientToTarget
        }
        for (index, worker) in metrics.workers.enumerated() {
            counts["turns \(index)"] = worker.turns.count
            counts["time \(index)"] = UInt64(worker.processorTime * 1e9)
        }
        counts["sessions"] = metrics.sessionTimes.count
        counts["dials"] = metrics.dialTimes.count
        return counts
    }
}
