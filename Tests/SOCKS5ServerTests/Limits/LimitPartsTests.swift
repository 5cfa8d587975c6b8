import TestSupport
import Testing
import UVLoop

@testable import ProxyPolicy
@testable import SOCKS5Server

private func source(_ text: String) throws -> ClientSource {
    ClientSource(Peer(try host(text), port: 0))
}

private func sourceLimits(_ set: (inout ProxyLimits) -> Void) throws -> LimitTable.Source {
    var limits = ProxyLimits()
    set(&limits)
    return try #require(LimitTable(limits, []).source)
}

@Suite struct LimitPartsTests {
    @Test func sourcesAreAddressesAndIPv6NetworksAndLeaveWithTheirLastConnection() throws {
        let table = SourceTable()
        let limits = try sourceLimits { $0.connectionsPerSource = 2 }
        let first = try source("2001:db8::1")
        #expect(table.enter(first, limits, now: 0) == nil)
        #expect(table.enter(try source("2001:db8::2"), limits, now: 0) == nil)
        #expect(table.enter(try source("2001:db8::3"), limits, now: 0) == .connectionsPerSource)
        #expect(table.enter(try source("2001:db8:0:1::1"), limits, now: 0) == nil)
        #expect(table.enter(try source("192.0.2.1"), limits, now: 0) == nil)
        #expect(table.enter(try source("::ffff:192.0.2.1"), limits, now: 0) == nil)
        #expect(table.enter(try source("192.0.2.1"), limits, now: 0) == .connectionsPerSource)
        #expect(table.count == 3)
        table.endHandshake(first)
        table.leave(first)
        #expect(table.enter(first, limits, now: 0) == nil)
        for text in ["2001:db8::1", "2001:db8::1", "2001:db8:0:1::1", "192.0.2.1", "192.0.2.1"] {
            table.leave(try source(text))
        }
        #expect(table.count == 0)
    }

    @Test func aHandshakeThatIsOverMakesRoomForTheNext() throws {
        let table = SourceTable()
        let limits = try sourceLimits { $0.handshakesPerSource = 1 }
        let client = try source("192.0.2.1")
        for _ in 0..<3 {
            #expect(table.enter(client, limits, now: 0) == nil)
            #expect(table.enter(client, limits, now: 0) == .handshakesPerSource)
            table.endHandshake(client)
        }
    }

    /// A flood gets as much as a client that asks in time, and no more.
    @Test(arguments: [1, 7, 1000]) func newConnectionsComeAtTheirRate(_ rate: Int) throws {
        let table = SourceTable()
        let limits = try sourceLimits { $0.newConnectionsPerSource = rate }
        let client = try source("192.0.2.1")
        var admitted = 0
        for millisecond in 5000..<15_000 as Range<UInt64> {
            for _ in 0..<3 where table.enter(client, limits, now: millisecond) == nil {
                admitted += 1
                table.endHandshake(client)
                table.leave(client)
            }
        }
        #expect((10 * rate...11 * rate + 1).contains(admitted))
        #expect(table.enter(try source("192.0.2.2"), limits, now: 15_000) == nil)
    }

    @Test func sourcesThatComeAndGoDontFillMemory() throws {
        let table = SourceTable()
        let limits = try sourceLimits { $0.newConnectionsPerSource = 1 }
        for bits in 0..<100_000 as Range<UInt32> {
            let client = ClientSource(peer(bits))
            #expect(table.enter(client, limits, now: 1000) == nil)
            table.endHandshake(client)
            table.leave(client)
        }
        #expect(table.count == 0)
        #expect(table.arrivalsRemembered <= SourceTable.maximumArrivals)
    }

    @Test func unneededAccountsAreForgotten() throws {
        var user = UserLimits()
        user.connections = 1
        let limits = try #require(UserBounds(user))
        let table = AccountTable { _ in }
        let kept = try table.enter([1], limits, now: 1)
        for number in 0..<100_000 {
            let name = Array("\(number)".utf8)
            try table.enter(name, limits, now: 1).leave()
        }
        #expect(table.count <= 2048)
        #expect(throws: LimitRefusal.connectionsPerUser) { try table.enter([1], limits, now: 1) }
        kept.leave()
        try table.enter([1], limits, now: 1).leave()
    }

    /// Even if many connections of the user continue for a while: each report goes through all sessions.
    @Test func theEndOfAQuotaIsReportedOnceToAll() throws {
        var user = UserLimits()
        let (small, large) = (Quota(bytes: 100, period: .day), Quota(bytes: 200, period: .day))
        user.quota = small
        let limits = try #require(UserBounds(user))
        let today = try #require(UTCDay(parsing: Array("2026-01-01".utf8)))
        let tomorrow = today.advanced(by: 1)
        let account = try AccountTable(clock: { today }) { _ in }.enter([1], limits, now: 1)
        #expect(!account.use(99, small, today))
        #expect(account.use(1, small, today))
        for _ in 0..<10 { #expect(!account.use(1, small, today)) }
        // A connection from before a reload may use another quota.
        #expect(!account.use(1, large, today))
        #expect(account.use(100, large, today))
        #expect(!account.use(1, large, today))
        // The end of each period is reported separately.
        #expect(!account.use(1, large, tomorrow))
        #expect(account.use(200, large, tomorrow))
    }

    @Test func limitsOfAUsersOwnReplaceTheGeneralOnes() {
        var limits = ProxyLimits()
        limits.user.connections = 2
        var alice = ProxyUser(name: "alice", password: "a")
        alice.limits = UserLimits()
        alice.limits?.connections = 5
        var root = ProxyUser(name: "root", password: "r")
        root.limits = UserLimits()
        let settings = LimitTable(limits, [alice, root])
        #expect(settings.limits(of: Array("alice".utf8))?.connections == 5)
        #expect(settings.limits(of: Array("root".utf8)) == nil)
        #expect(settings.limits(of: Array("bob".utf8))?.connections == 2)
        #expect(LimitTable(ProxyLimits(), []).limits(of: [1]) == nil)
        #expect(LimitTable(ProxyLimits(), []).source == nil)
    }

    /// Takers of several sizes that never ask before their time get the bytes of a second, and once the credit.
    @Test(arguments: [1024, 100_000, 8 << 20, 16 << 20]) func aBucketGrantsItsRateToAnyTaker(
        _ bytesPerSecond: Int
    ) {
        let rate = Rate(bytesPerSecond)
        var random = SeededGenerator(seed: UInt64(bytesPerSecond))
        var bucket = TokenBucket()
        var times = [UInt64](repeating: 1_000_000_000, count: 8)
        var taken = 0
        while let taker = times.indices.min(by: { times[$0] < times[$1] }), times[taker] < 61_000_000_000 {
            // Each is a little late, and gives a part back.
            let now = times[taker] + UInt64.random(in: 0..<20_000_000, using: &random)
            times[taker] = max(now, bucket.take(rate.cost(of: rate.portion), now: now, credit: Rate.credit))
            let unused = Int.random(in: 0...rate.portion / 4, using: &random)
            bucket.giveBack(rate.cost(of: unused))
            taken += rate.portion - unused
        }
        let most = Double(bytesPerSecond) * 60 * 1.003 + 8 * Double(rate.portion)
        #expect(Double(taken) < most)
        #expect(Double(taken) > Double(bytesPerSecond) * 60 * 0.99)
    }

    @Test func limitsOutOfRangeAreRefused() {
        let changes: [(inout Configuration) -> Void] = [
            { $0.limits.connectionsPerSource = 0 }, { $0.limits.handshakesPerSource = -1 },
            { $0.limits.newConnectionsPerSource = 0 }, { $0.limits.newConnectionsPerSource = 1_000_001 },
            { $0.limits.user.connections = 0 }, { $0.limits.user.bandwidth = 1023 },
            { $0.limits.bandwidthPerConnection = 1 << 41 },
            { configuration in
                configuration.users = [ProxyUser(name: "a\nb", password: "x")]
                configuration.users[0].limits = UserLimits()
                configuration.users[0].limits?.connections = 0
            },
        ]
        expectInvalid(changes) { $0.contains("; expected 1") && !$0.contains("\n") }
    }
}

@Suite struct GrantTests {
    private let late = 10 * Rate.credit

    @Test func aPortionThatIsAwaitedKeepsItsPlaceHoweverLateItsOwnerComes() {
        var grant = Grant(bytes: 100, start: 1)
        grant.isAwaited = true
        #expect(grant.state(0) == .early)
        #expect(grant.state(late) == .usable)
        #expect(grant.without(60, late)?.state(late + Rate.credit) == .usable)
    }

    @Test func aPortionWithoutATakerLapses() {
        let grant = Grant(bytes: 100, start: 1)
        #expect(grant.state(1 + Rate.credit) == .usable)
        #expect(grant.state(late) == .lapsed)
    }

    @Test func theRestOfAnAwaitedPortionLapsesToo() throws {
        var grant = Grant(bytes: 100, start: 1)
        grant.isAwaited = true
        let rest = try #require(grant.without(60, late))
        #expect(rest.bytes == 40)
        #expect(rest.state(2 * late) == .lapsed)
        #expect(rest.without(40, late) == nil)
    }
}
