import Glibc
import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

@testable import ProxyPolicy
@testable import SOCKS5Server

private let found = NameAnswer.success([SocketAddress(host: .ipv4(1), port: 0)])
private let notFound = NameAnswer.failure(.nameNotFound)

private func source(_ number: Int) -> ClientSource {
    ClientSource(peer(UInt32(number)))
}

@Suite struct NameTableTests {
    private static func table(
        parallel: Int = 8,
        ofSource: Int = 64,
        waitingPerSource: Int = 256,
        waiting: Int = 4096
    ) -> NameTable<Int> {
        var settings = Configuration.Resolver()
        settings.lookupsPerSource = ofSource
        settings.waitingPerSource = waitingPerSource
        settings.waiting = waiting
        return NameTable(settings, parallel: parallel)
    }

    @Test func aHundredRequestsForANameShareALookup() {
        var table = Self.table()
        var outcomes = (0..<100).map { table.ask("name", for: source($0 % 7), $0, now: 0) }
        #expect(outcomes.removeFirst().isLookup)
        #expect(outcomes.count(where: \.isWait) == 99)
        let (askers, next) = table.finished("name", found, now: 0)
        #expect(askers.map(\.1).sorted() == Array(0..<100) && next.isEmpty)
        #expect(table.ask("name", for: source(1), 0, now: 1).answer == found)
    }

    @Test func everySourceLeavesAsManyLookupsToTheOthersAsItHas() {
        var table = Self.table(parallel: 16)
        for (number, share) in [8, 4, 2, 1, 1, 0].enumerated() {
            let outcomes = (0..<100).map { table.ask("\(number).\($0)", for: source(number), $0, now: 0) }
            #expect(outcomes.count(where: \.isLookup) == share, "source \(number)")
        }
        // A returned thread goes to a source that has fewer.
        #expect(table.finished("0.0", found, now: 0).next == ["5.0"])
    }

    @Test func aSourceHasItsLimit() {
        var table = Self.table(parallel: 128, ofSource: 5)
        let outcomes = (0..<100).map { table.ask("name\($0)", for: source(1), $0, now: 0) }
        #expect(outcomes.count(where: \.isLookup) == 5)
    }

    @Test func beforeLookupsCanBeginAllNamesWait() {
        var table = Self.table(parallel: 0)
        for number in 0..<3 { #expect(table.ask("a\(number)", for: source(1), number, now: 0).isWait) }
        #expect(table.ask("b", for: source(2), 3, now: 0).isWait)
        #expect(table.open(parallel: 4, now: 0) == ["a0", "b", "a1"])
        #expect(table.finished("a0", found, now: 0).next == ["a2"])
    }

    @Test func theBeginOfALookupIsKnownWhileItRuns() {
        var table = Self.table(parallel: 0)
        _ = table.ask("a", for: source(1), 1, now: 10)
        #expect(table.begin(of: "a") == nil)
        _ = table.open(parallel: 4, now: 25)
        #expect(table.begin(of: "a") == 25)
        _ = table.finished("a", found, now: 30)
        #expect(table.begin(of: "a") == nil)
    }

    @Test func aRequestForAWaitingNameDoesNotWaitBehindOtherNames() {
        var table = Self.table(parallel: 8)
        for number in 0..<5 { _ = table.ask("stuck\(number)", for: source(1), number, now: 0) }
        #expect(table.ask("popular", for: source(1), 5, now: 0).isWait)
        #expect(table.ask("popular", for: source(2), 6, now: 0).isLookup)
        let (askers, next) = table.finished("popular", found, now: 0)
        #expect(askers.map(\.1).sorted() == [5, 6])
        // It no longer waits in the first source's queue either: the other name is next there.
        #expect(next.isEmpty)
        #expect(table.finished("stuck0", found, now: 0).next == ["stuck4"])
    }

    @Test func theQueuesTakeTurns() {
        var table = Self.table(parallel: 2, ofSource: 1)
        for name in ["a1", "a2", "a3", "a4"] { _ = table.ask(name, for: source(1), 0, now: 0) }
        for name in ["b1", "b2", "b3"] { _ = table.ask(name, for: source(2), 0, now: 0) }
        #expect(table.ask("c1", for: source(3), 0, now: 0).isWait)
        #expect(table.finished("b1", found, now: 0).next == ["b2"])
        #expect(table.finished("b2", found, now: 0).next == ["c1"])
        #expect(table.finished("c1", found, now: 0).next == ["b3"])
        #expect(table.finished("a1", found, now: 0).next == ["a2"])
    }

    @Test func tooManyWaitersAreRefused() {
        var table = Self.table(parallel: 2, waitingPerSource: 3, waiting: 5)
        let first = (0..<10).map { table.ask("a\($0)", for: source(1), $0, now: 0) }
        #expect(first.count(where: \.isWait) == 3)
        #expect(first.compactMap(\.answer) == [NameAnswer](repeating: .failure(.tryAgain), count: 6))
        // Another name takes another place, but another request for the same name doesn't.
        #expect(table.ask("a1", for: source(1), 0, now: 0).isWait)
        let second = (0..<10).map { table.ask("b\($0)", for: source(2), $0, now: 0) }
        #expect(second.count(where: \.isWait) == 2)
    }

    @Test func aLeavingWaiterLeavesTheOthersWaiting() throws {
        var table = Self.table()
        let ticket = try #require(table.ask("name", for: source(1), 1, now: 0).ticket)
        _ = table.ask("name", for: source(1), 2, now: 0)
        table.cancel(ticket)
        table.cancel(ticket)
        #expect(table.finished("name", found, now: 0).askers.map(\.1) == [2])
    }

    @Test func aLookupThatEverybodyHasLeftIsStillKept() throws {
        var table = Self.table()
        let ticket = try #require(table.ask("name", for: source(1), 1, now: 0).ticket)
        table.cancel(ticket)
        #expect(table.ask("name", for: source(1), 2, now: 0).isWait)
        #expect(table.finished("name", found, now: 0).askers.map(\.1) == [2])
        #expect(table.ask("name", for: source(2), 3, now: 0).answer == found)
    }

    @Test func aNameThatEverybodyHasLeftIsNotLookedUp() throws {
        var table = Self.table(parallel: 2)
        for name in ["first", "second", "third"] { _ = table.ask(name, for: source(1), 1, now: 0) }
        let again = try #require(table.ask("second", for: source(1), 2, now: 0).ticket)
        table.cancel(again)
        #expect(table.finished("first", found, now: 0).next == ["second"])
        let left = try #require(table.ask("fourth", for: source(1), 1, now: 0).ticket)
        table.cancel(left)
        #expect(table.finished("second", found, now: 0).next == ["third"])
        #expect(table.finished("third", found, now: 0).next == [])
    }

    @Test func aForgottenNameIsLookedUpAgain() {
        var table = Self.table()
        _ = table.ask("name", for: source(1), 1, now: 0)
        _ = table.finished("name", found, now: 0)
        guard case .answer(found, let expiry) = table.ask("name", for: source(1), 1, now: 0) else {
            Issue.record("not in the cache")
            return
        }
        table.forget("name", goodUntil: expiry)
        #expect(table.ask("name", for: source(1), 1, now: 0).isLookup)
        // A second request that has failed at the same addresses waits for the same lookup.
        table.forget("name", goodUntil: expiry)
        #expect(table.ask("name", for: source(1), 2, now: 0).isWait)
    }

    @Test func thousandsOfWaitersForANameDoNotSlowEachOther() throws {
        try expectLinear { count in
            var table = Self.table(parallel: 0, waitingPerSource: .max, waiting: .max)
            let tickets = (0..<count).compactMap {
                table.ask("name", for: source($0), $0, now: 0).ticket
            }
            for ticket in tickets.dropLast() { table.cancel(ticket) }
            #expect(table.open(parallel: 4, now: 0) == ["name"])
            #expect(table.finished("name", found, now: 0).askers.map(\.1) == [count - 1])
        }
    }

    @Test func thousandsOfNamesThatWaitCostEachOtherNothing() throws {
        try expectLinear { count in
            var table = Self.table(parallel: 0, waitingPerSource: .max, waiting: .max)
            let tickets = (0..<count).compactMap {
                table.ask("name\($0)", for: source(1), $0, now: 0).ticket
            }
            // Half of them leave, the last ones first.
            for (number, ticket) in tickets.enumerated().reversed() where number % 2 == 1 {
                table.cancel(ticket)
            }
            var running = table.open(parallel: 2, now: 0)
            var told = 0
            while let name = running.popLast() {
                let (askers, next) = table.finished(name, found, now: 0)
                told += askers.count
                running += next
            }
            #expect(told == count / 2)
        }
    }

    @Test func thousandsOfSourcesThatWaitCostEachOtherNothing() throws {
        try expectLinear { count in
            var table = Self.table(parallel: 2, waitingPerSource: .max, waiting: .max)
            // One source has all that it may have, and the others wait, each in its own queue.
            let tickets = (0..<count).compactMap {
                table.ask("name\($0)", for: source($0), $0, now: 0).ticket
            }
            for ticket in tickets.reversed() { table.cancel(ticket) }
            #expect(table.finished("name0", found, now: 0).next == [])
        }
    }

    /// Eight times as many take about eight times as long; it would be 64 times if each of them examined all others.
    /// Measured in processor time of this thread, since other threads may be running meanwhile.
    private func expectLinear(_ run: (Int) throws -> Void) throws {
        let times = try [512, 4096].map { count in
            try (0..<5).map { _ in
                let began = processorTime()
                try run(count)
                return processorTime() - began
            }.min() ?? 0
        }
        #expect(times[1] < times[0] * 20, "\(times)")
    }

    /// The nanoseconds during which this thread had a processor.
    private func processorTime() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    /// For any order of requests, cancellations and answers: the limit of lookups holds, no name is looked up twice,
    /// every request is answered once, and no request waits while nothing is looked up.
    @Test func theTableKeepsItsPromises() {
        var random = SeededGenerator(seed: 1929)
        for round in 0..<10 {
            let table = Self.table(parallel: 1 + round, ofSource: 3, waitingPerSource: 6, waiting: 15)
            var model = ModelTable(table, parallel: 1 + round)
            for _ in 0..<10_000 where model.holds {
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<5:
                    model.ask(
                        "name\(Int.random(in: 0..<30, using: &random))",
                        Int.random(in: 0..<5, using: &random)
                    )
                case 5..<7: model.cancelAny(&random)
                default: model.finishAny(&random)
                }
            }
            while model.holds && !model.running.isEmpty { model.finishAny(&random) }
            #expect(model.holds && model.waiting.isEmpty, "round \(round)")
        }
    }
}

/// A table, together with what its callers know.
private struct ModelTable {
    private var table: NameTable<Int>
    private let parallel: Int
    private var lastAsker = 0
    private var now: UInt64 = 0
    private(set) var running: [String] = []
    private(set) var waiting: [Int: (ticket: NameTicket, name: String, source: Int)] = [:]
    private(set) var holds = true

    init(_ table: NameTable<Int>, parallel: Int) {
        self.table = table
        self.parallel = parallel
    }

    mutating func ask(_ name: String, _ number: Int) {
        lastAsker += 1
        now += 1000
        let outcome = table.ask(name, for: source(number), lastAsker, now: now)
        switch outcome {
        case .answer:
            break
        case .lookUp(let ticket):
            begin(name)
            waiting[lastAsker] = (ticket, name, number)
        case .wait(let ticket):
            waiting[lastAsker] = (ticket, name, number)
        }
    }

    mutating func cancelAny(_ random: inout SeededGenerator) {
        guard let asker = waiting.keys.sorted().randomElement(using: &random),
            let ticket = waiting.removeValue(forKey: asker)?.ticket
        else { return }
        table.cancel(ticket)
    }

    mutating func finishAny(_ random: inout SeededGenerator) {
        guard let name = running.randomElement(using: &random) else {
            // Nothing is running, so nothing may wait.
            holds = holds && waiting.isEmpty
            return
        }
        running.removeAll { $0 == name }
        let (askers, next) = table.finished(name, Bool.random(using: &random) ? found : notFound, now: now)
        let expected = waiting.filter { $0.value.name == name }
        holds = holds && Set(askers.map(\.1)) == Set(expected.keys) && askers.count == expected.count
        for asker in expected.keys { waiting[asker] = nil }
        for name in next {
            holds = holds && waiting.values.contains { $0.name == name }
            begin(name)
        }
    }

    private mutating func begin(_ name: String) {
        holds = holds && !running.contains(name)
        running.append(name)
        holds = holds && running.count <= parallel
    }
}

extension NameTable.Outcome {
    fileprivate var isLookup: Bool { if case .lookUp = self { true } else { false } }

    fileprivate var isWait: Bool { if case .wait = self { true } else { false } }

    fileprivate var answer: NameAnswer? { if case .answer(let answer, _) = self { answer } else { nil } }

    fileprivate var ticket: NameTicket? {
        switch self {
        case .answer: nil
        case .wait(let ticket), .lookUp(let ticket): ticket
        }
    }
}

@Suite struct ClientSourceTests {
    private static func source(_ text: String) throws -> ClientSource {
        ClientSource(Peer(try host(text), port: UInt16.random(in: 1...9999)))
    }

    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false),
        ("::ffff:192.0.2.1", "192.0.2.1", true), ("2001:db8::1", "2001:db8::ffff:0:0:1", true),
        ("2001:db8:0:1::1", "2001:db8::1", false), ("::1", "0.0.0.1", false),
    ])
    func aSourceIsAnAddressOrTheNetOfAnIPv6One(_ one: String, _ other: String, _ areTheSame: Bool) throws {
        #expect((try Self.source(one) == Self.source(other)) == areTheSame)
    }
}
