import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

@testable import ProxyPolicy
@testable import SOCKS5Server

private func source(_ number: Int) -> ClientSource {
    ClientSource(peer(UInt32(number)))
}

/// Computes hashes as a server does.
func hashes(_ threads: HashThreads = HashThreads()) -> HashComputation {
    { await threads.compute($0, for: $1) }
}

@Suite struct HashScheduleTests {
    private let key = LoginDigest.Key()

    private func work(_ name: Int) throws -> HashWork {
        let credentials = Credentials(username: "\(name)", password: "secret")
        let hash = try PasswordHash(parsing: HashOfSecret.bcrypt)
        return HashWork(
            id: key.digest(of: credentials, against: hash),
            hash: hash,
            password: credentials.password
        )
    }

    private func expectAdded(
        _ work: HashWork,
        for source: ClientSource,
        _ waiter: Int,
        to schedule: inout HashSchedule<Int>
    ) {
        let isAdded = schedule.add(work, for: source, UInt64(waiter), waiter)
        #expect(isAdded)
    }

    @Test func sourcesTakeTurnsSoThatAFloodDelaysOnlyItself() throws {
        var schedule = HashSchedule<Int>(HashLimits())
        for number in 0..<20 {
            try expectAdded(work(number), for: source(1), number, to: &schedule)
        }
        for number in 20..<22 {
            try expectAdded(work(number), for: source(2), number, to: &schedule)
        }
        var order: [Int] = []
        while let next = schedule.next() { order += schedule.finish(next.id) }
        #expect(order.prefix(5) == [0, 20, 1, 21, 2])
        #expect(order.count == 22 && schedule.waiting == 0)
    }

    @Test func tooManyOfASourceOrOfAllAreTurnedAway() throws {
        var schedule = HashSchedule<Int>(HashLimits(waiting: 6, waitingPerSource: 4))
        let added = try (0..<6).map { try schedule.add(work($0), for: source(1), UInt64($0), $0) }
        #expect(added == [true, true, true, true, false, false])
        let others = try (6..<10).map { try schedule.add(work($0), for: source($0), UInt64($0), $0) }
        #expect(others == [true, true, false, false])
        _ = schedule.next()
        try expectAdded(work(10), for: source(10), 10, to: &schedule)
    }

    @Test func theSameLoginIsComputedOnceForAllWaiters() throws {
        var schedule = HashSchedule<Int>(HashLimits(waiting: 1, waitingPerSource: 1))
        for number in 0..<100 { try expectAdded(work(7), for: source(1), number, to: &schedule) }
        let next = schedule.next()
        let taken = try #require(next)
        try expectAdded(work(7), for: source(2), 100, to: &schedule)
        #expect(schedule.next() == nil)
        #expect(schedule.finish(taken.id) == Array(0...100))
    }

    @Test func hashesWithoutWaitersAreNotComputed() throws {
        var schedule = HashSchedule<Int>(HashLimits())
        let (first, second) = (try work(1), try work(2))
        _ = schedule.add(first, for: source(1), 1, 1)
        _ = schedule.add(first, for: source(1), 2, 2)
        _ = schedule.add(second, for: source(1), 3, 3)
        #expect(schedule.cancel(first.id, 1) == 1)
        #expect(schedule.cancel(first.id, 1) == nil)
        #expect(schedule.cancel(first.id, 2) == 2)
        #expect(schedule.waiting == 1)
        #expect(schedule.next()?.id == second.id)
        // In progress: the result goes to nobody.
        #expect(schedule.cancel(second.id, 3) == 3)
        #expect(schedule.finish(second.id).isEmpty)
        #expect(schedule.next() == nil)
    }

    /// Every accepted waiter gets one result, or cancels once; the limits hold at all times.
    @Test func noWaiterIsEverForgotten() throws {
        var random = SeededGenerator(seed: 43)
        let limits = HashLimits(waiting: 12, waitingPerSource: 5)
        var schedule = HashSchedule<UInt64>(limits)
        let works = try (0..<30).map { try work($0) }
        var waiting: [UInt64: LoginDigest] = [:]
        var running: [LoginDigest] = []
        var number: UInt64 = 0
        for _ in 0..<20_000 {
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                let work = works[Int.random(in: 0..<works.count, using: &random)]
                number += 1
                if schedule.add(work, for: source(Int.random(in: 0..<4, using: &random)), number, number) {
                    waiting[number] = work.id
                }
            case 1:
                if running.count < 2, let next = schedule.next() { running.append(next.id) }
            case 2:
                guard !running.isEmpty else { continue }
                let id = running.removeFirst()
                let told = schedule.finish(id)
                #expect(Set(told) == Set(waiting.filter { $0.value == id }.keys))
                for number in told { waiting[number] = nil }
            default:
                guard let (number, id) = waiting.randomElement(using: &random) else { continue }
                #expect(schedule.cancel(id, number) == number)
                waiting[number] = nil
            }
            #expect(schedule.waiting <= limits.waiting)
            let unstarted = Set(waiting.values).subtracting(running)
            #expect(schedule.waiting == unstarted.count, "seed 43")
        }
    }
}

@Suite struct LoginThrottleTests {
    @Test func theEleventhFailureWithinAMinuteIsLate() {
        var throttle = LoginThrottle(nil)
        let answers = (0..<12).map { throttle.noteFailure(of: source(1), now: UInt64($0) * 5000) }
        #expect(answers == Array(repeating: .atOnce, count: 10) + [.late, .late])
        #expect(throttle.noteFailure(of: source(2), now: 60_000) == .atOnce)
        // There were ten before this one, but the tenth is more than a minute old.
        #expect(throttle.noteFailure(of: source(1), now: 75_001) == .atOnce)
    }

    @Test func anIPv6NetworkIsOneSourceAndAMappedAddressIsIPv4() {
        var throttle = LoginThrottle(nil)
        let network = (0..<11).map {
            ClientSource(Peer(.ipv6(IPv6Address(high: 1, low: $0)), port: 1))
        }
        #expect(network.map { throttle.noteFailure(of: $0, now: 0) }.last == .late)
        let mapped = Peer(.ipv6(IPv6Address(high: 0, low: 0xffff_0000_0005)), port: 1)
        #expect(ClientSource(mapped) == source(5))
    }

    @Test func theTableIsBoundedAndForgetsTheOldest() {
        var throttle = LoginThrottle(nil)
        for _ in 0..<10 { _ = throttle.noteFailure(of: source(0), now: 0) }
        for number in 1..<100 { _ = throttle.noteFailure(of: source(number), now: 0) }
        #expect(throttle.noteFailure(of: source(0), now: 1) == .late)
        for number in 1...LoginThrottle.maximumSources {
            _ = throttle.noteFailure(of: source(number), now: 2)
        }
        #expect(throttle.noteFailure(of: source(0), now: 3) == .atOnce)
    }

    @Test func aBanBeginsAfterTheSetFailuresAndEndsAfterTheSetTime() {
        var ban = LoginBan()
        ban.failures = 3
        ban.window = .seconds(10)
        ban.duration = .seconds(100)
        var throttle = LoginThrottle(ban)
        #expect(throttle.noteFailure(of: source(1), now: 0) == .atOnce)
        #expect(throttle.noteFailure(of: source(1), now: 9_000) == .atOnce)
        #expect(throttle.noteFailure(of: source(1), now: 11_000) == .atOnce)
        #expect(!throttle.isBanned(source(1), now: 11_000))
        #expect(throttle.noteFailure(of: source(1), now: 12_000) == .banned)
        #expect(throttle.isBanned(source(1), now: 111_999))
        #expect(!throttle.isBanned(source(2), now: 12_000))
        #expect(!throttle.isBanned(source(1), now: 112_000))
    }
}

@Suite struct LoginDigestTests {
    @Test func itTellsLoginsApartAndDependsOnKeyAndHash() throws {
        let key = LoginDigest.Key()
        let hash = try PasswordHash(parsing: HashOfSecret.bcrypt)
        let logins = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", ""), ("ab", "c\0"), ("ab", "d")]
        let digests = logins.map {
            key.digest(of: Credentials(username: $0.0, password: $0.1), against: hash)
        }
        #expect(Set(digests).count == logins.count)
        let same = Credentials(username: "ab", password: "c")
        #expect(key.digest(of: same, against: hash) == digests[0])
        #expect(LoginDigest.Key().digest(of: same, against: hash) != digests[0])
        let other = try PasswordHash(parsing: HashOfSecret.yescrypt)
        #expect(key.digest(of: same, against: other) != digests[0])
    }
}

@Suite struct UserTableTests {
    private func login(_ name: String, _ password: String) -> Login {
        Login(
            credentials: Credentials(username: name, password: password),
            client: someone
        )
    }

    private func verdict(_ table: UserTable, _ name: String, _ password: String) async -> LoginVerdict {
        switch table.verify(login(name, password)) {
        case .now(let verdict): verdict
        case .later(let answer): (try? await answer()) ?? .unavailable
        }
    }

    private func table(_ secrets: [(String, ProxyUser.Secret)], threads: HashThreads = HashThreads())
        -> UserTable
    {
        UserTable(
            secrets.map { ProxyUser(name: Array($0.0.utf8), secret: $0.1) },
            hashes(threads)
        )
    }

    @Test func plainUsersAreAnsweredAtOnce() {
        let table = table([("alice", .plain(Array("secret".utf8)))])
        for (name, password, expected) in [
            ("alice", "secret", LoginVerdict.accepted), ("alice", "wrong", .refused),
            ("bob", "secret", .refused),
            ("bob", "", .refused), ("alice", "", .refused),
        ] {
            guard case .now(let verdict) = table.verify(login(name, password)) else {
                Issue.record("\(name) waits")
                continue
            }
            #expect(verdict == expected)
        }
    }

    @Test func theSecondLoginCostsNoHashUntilThePasswordIsAnother() async throws {
        let hash = try PasswordHash(parsing: HashOfSecret.bcrypt)
        let table = table([("alice", .hash(hash)), ("bob", .hash(hash))])
        #expect(await verdict(table, "alice", "secret") == .accepted)
        #expect(await verdict(table, "alice", "wrong") == .refused)
        guard case .now(.accepted) = table.verify(login("alice", "secret")) else {
            Issue.record("the second login waits")
            return
        }
        // That doesn't help another password or another user.
        for (name, password) in [("alice", "wrong"), ("bob", "secret"), ("carol", "secret")] {
            guard case .later = table.verify(login(name, password)) else {
                Issue.record("\(name) doesn't wait")
                continue
            }
        }
        #expect(await verdict(table, "bob", "secret") == .accepted)
        #expect(await verdict(table, "carol", "secret") == .refused)
    }

    /// Each failure costs a hash, if there is one.
    @Test func everyFailureCostsAHashOfTheMostCommonCost() async throws {
        let common = try PasswordHash(parsing: HashOfSecret.yescrypt)
        let table = table([
            ("alice", .hash(try PasswordHash(parsing: HashOfSecret.bcrypt))), ("bob", .hash(common)),
            ("carol", .hash(common)), ("dave", .plain(Array("secret".utf8))),
        ])
        for (name, password) in [("nobody", "secret"), ("dave", "wrong"), ("alice", "wrong"), ("", "")] {
            guard case .later(let answer) = table.verify(login(name, password)) else {
                Issue.record("\(name) doesn't wait")
                continue
            }
            #expect(try await answer() == .refused)
        }
        guard case .now(.accepted) = table.verify(login("dave", "secret")) else {
            Issue.record("a right plain password waits")
            return
        }
    }

    @Test func loginsAboveTheLimitAreRefusedUnchecked() async throws {
        let slow = try PasswordHash(hashing: Array("secret".utf8), method: .bcrypt, cost: 6)
        let threads = HashThreads(maximum: 1, HashLimits(waiting: 2, waitingPerSource: 2))
        let table = table([("alice", .hash(slow))], threads: threads)
        let verdicts = await withTaskGroup { group in
            for number in 0..<20 { group.addTask { await verdict(table, "alice", "wrong\(number)") } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(verdicts.count { $0 == .accepted } == 0)
        // At least one that runs and two that wait; the number of further turns depends on timing.
        #expect(verdicts.count { $0 == .refused } >= 2)
        #expect(verdicts.count { $0 == .unavailable } >= 1)
        #expect(await verdict(table, "alice", "secret") == .accepted)
    }

    @Test func aTaskThatIsCancelledWaitsNoLonger() async throws {
        let slow = try PasswordHash(hashing: Array("secret".utf8), method: .bcrypt, cost: 6)
        let table = table([("alice", .hash(slow))], threads: HashThreads(maximum: 1))
        let tasks = (0..<50).map { number in Task { await verdict(table, "alice", "wrong\(number)") } }
        for task in tasks { task.cancel() }
        for task in tasks.dropFirst(1) {
            let verdict = await task.value
            #expect(verdict != .accepted)
        }
        #expect(await verdict(table, "alice", "secret") == .accepted)
    }
}
