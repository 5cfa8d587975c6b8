import Logging
import SOCKS5Protocol
import TestSupport
import Testing
import UVLoop

@testable import SOCKS5Server

/// The conclusions about parents from connections through chains.
@Suite struct ParentAttemptTests {
    private static func configuration(_ parents: [Parent]) -> Configuration {
        var configuration = Configuration()
        configuration.parents = parents
        return configuration
    }

    private static func parents(_ names: String...) -> [Parent] {
        names.enumerated().map { Parent($1, port: 1000 + $0) }
    }

    private struct World {
        let log = RecordedLog()
        let table: ParentTable
        let records: [String: ParentRecord]
        let chains: [String: ParentChain]

        /// - Parameter through: for the name of a parent, the name of the one before it.
        init(_ names: String..., through: [String: String] = [:]) {
            var all = names.enumerated().map { Parent($1, port: 1000 + $0) }
            for index in all.indices { all[index].through = through[all[index].name] }
            table = ParentTable(log.logger)
            records = table.adopt(configuration(all))
            let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
            chains = byName.mapValues { [records] in ParentChain($0, among: byName, records) }
        }

        func attempt(_ name: String, evenIfDown: Bool = false, isCheck: Bool = false, now: UInt64 = 0) throws
            -> ParentAttempt?
        {
            ParentAttempt(try #require(chains[name]), evenIfDown: evenIfDown, isCheck: isCheck, now: now)
        }

        func fail(_ name: String, _ failure: ParentFailure, at place: Int = 0, now: UInt64 = 0) throws {
            try #require(try attempt(name, evenIfDown: true, now: now)).failed(failure, at: place, now: now)
        }

        func isUp(_ name: String) throws -> Bool { try #require(records[name]).isUp }

        func count(_ name: String, _ result: ParentResult) throws -> UInt64 {
            try #require(records[name]).counts.numbers.results[result.rawValue]
        }
    }

    @Test(
        arguments: [
            .unreachable(.connectionRefused), .loginRefused, .broken("nonsense"),
            .unreachable(.connectionReset),
            .unreachable(.nameNotFound),
        ] as [ParentFailure]
    )
    func aParentThatFailsThreeTimesInARowIsDown(_ failure: ParentFailure) throws {
        let world = World("a")
        for _ in 0..<2 { try world.fail("a", failure) }
        #expect(try world.isUp("a"))
        try world.fail("a", failure)
        #expect(try !world.isUp("a"))
        #expect(world.log.count(of: "parent down") == 1)
        #expect(try world.attempt("a", now: 100) == nil)
    }

    @Test(arguments: [ParentFailure.timedOut, .unreachable(.timedOut)])
    func aParentThatIsTooSlowIsDownAtOnce(_ failure: ParentFailure) throws {
        let world = World("a")
        try world.fail("a", failure)
        #expect(try !world.isUp("a") && world.count("a", .timedOut) == 1)
    }

    @Test(
        arguments: [
            .unsupported, .unreachable(.tooManyFiles), .unreachable(.addressNotAvailable),
            .unreachable(.addressInUse), .unreachable(.outOfMemory),
        ] as [ParentFailure]
    )
    func aShortageOfThisMachineIsNotTheParentsFailure(_ failure: ParentFailure) throws {
        let world = World("a")
        for _ in 0..<10 { try world.fail("a", failure) }
        #expect(try world.isUp("a"))
    }

    @Test func anAnswerIsASuccess() throws {
        let world = World("a")
        for _ in 0..<10 {
            for _ in 0..<2 { try world.fail("a", .unreachable(.connectionRefused)) }
            try #require(try world.attempt("a")).answered(Reply.connectionRefused.rawValue, now: 7)
        }
        #expect(
            try world.isUp("a") && world.count("a", .answered) == 10 && world.count("a", .unreachable) == 20
        )
    }

    @Test func aFailureAtAHopCountsOnlyAgainstThatHop() throws {
        let world = World("a", "b", "c", through: ["b": "a", "c": "b"])
        for _ in 0..<3 { try world.fail("c", .broken("nonsense"), at: 1) }
        #expect(try world.isUp("a") && !world.isUp("b") && world.isUp("c"))
        #expect(try world.count("b", .broken) == 3 && world.count("c", .broken) == 0)
        #expect(
            try world.attempt("c", now: 1) == nil && world.attempt("b", now: 1) == nil,
            "it is on the way"
        )
        let through = try #require(try world.attempt("a", now: 1))
        through.opened(now: 1)
        let metrics = world.table.all.map { record in record.isUp && record.before.allSatisfy(\.isUp) }
        #expect(metrics == [true, false, false])
    }

    @Test func aHopThatCannotReachTheNextOneBlamesThatOne() throws {
        let world = World("a", "b", through: ["b": "a"])
        for _ in 0..<3 { try world.fail("b", .answered(.hostUnreachable), at: 0) }
        #expect(try world.isUp("a") && !world.isUp("b") && world.count("b", .unreachable) == 3)
    }

    @Test func oneAttemptAtATimeTriesAParentThatHasRested() throws {
        let world = World("a")
        try world.fail("a", .timedOut)
        let trial = try #require(try world.attempt("a", now: 1000))
        #expect(try world.attempt("a", now: 1000) == nil)
        try #require(try world.attempt("a", evenIfDown: true, now: 1000)).abandoned(at: nil, now: 1000)
        #expect(try world.attempt("a", now: 1000) == nil, "somebody else ends the trial")
        trial.abandoned(at: 0, now: 1100)
        let next = try #require(try world.attempt("a", now: 1200))
        next.opened(now: 1300)
        #expect(try world.isUp("a") && world.log.count(of: "parent up") == 1)
    }

    /// If one hop of a chain is being tried by another attempt, no hop stays taken.
    @Test func anAttemptThatMayNotBeginLeavesNoTrial() throws {
        let world = World("a", "b", through: ["b": "a"])
        try world.fail("a", .timedOut)
        for _ in 0..<3 { try world.fail("b", .broken(""), at: 1, now: 1) }
        try world.fail("a", .timedOut, now: 2)
        let trial = try #require(try world.attempt("b", now: 2000))
        #expect(try world.attempt("b", now: 2000) == nil && world.attempt("a", now: 2000) == nil)
        trial.abandoned(at: nil, now: 2001)
        let other = try #require(try world.attempt("a", now: 2002))
        #expect(try world.attempt("b", now: 2002) == nil)
        other.opened(now: 2003)
        try #require(try world.attempt("b", now: 2004)).opened(now: 2005)
        #expect(try world.isUp("a") && world.isUp("b"))
    }

    @Test func clientsThatDoNotWaitDoNotKeepASilentParentInUse() throws {
        let world = World("a")
        for _ in 0..<10 { try #require(try world.attempt("a")).abandoned(at: 0, now: 1999) }
        for _ in 0..<10 { try #require(try world.attempt("a")).abandoned(at: nil, now: 9000) }
        #expect(try world.isUp("a"), "the target was waited for, or nobody waited long")
        for _ in 0..<3 { try #require(try world.attempt("a")).abandoned(at: 0, now: 2000) }
        #expect(try !world.isUp("a") && world.count("a", .abandoned) == 23)
    }

    @Test func anAttemptIsLostWhenOthersHaveTakenItsParentDown() throws {
        let world = World("a")
        let attempt = try #require(try world.attempt("a"))
        #expect(!attempt.isLost(now: 0))
        try world.fail("a", .timedOut)
        #expect(attempt.isLost(now: 1))
        attempt.abandoned(at: 0, now: 1)
        let last = try #require(try world.attempt("a", evenIfDown: true, now: 1))
        #expect(!last.isLost(now: 1), "it knew before")
        last.abandoned(at: 0, now: 1)
    }

    @Test func aCheckThatTheParentAnswersHasFailed() throws {
        let world = World("a")
        try #require(world.records["a"]).setChecked(true)
        try #require(try world.attempt("a", isCheck: true)).answered(Reply.hostUnreachable.rawValue, now: 1)
        #expect(try !world.isUp("a"))
        try #require(try world.attempt("a", evenIfDown: true, now: 2)).answered(
            Reply.hostUnreachable.rawValue,
            now: 2
        )
        #expect(try !world.isUp("a") && world.attempt("a", now: 1_000_000) == nil)
        try #require(try world.attempt("a", evenIfDown: true, isCheck: true, now: 3)).opened(now: 3)
        #expect(try world.isUp("a"))
        #expect(try world.count("a", .opened) == 0 && world.count("a", .answered) == 1, "checks are counted")
    }

    @Test(arguments: [ParentFailure.loginRefused, .timedOut, .broken("nonsense")])
    func repeatedFailuresOfACheckAreLoggedOnce(_ failure: ParentFailure) throws {
        let world = World("a")
        try #require(world.records["a"]).setChecked(true)
        for step in 1...20 as ClosedRange<UInt64> {
            let now = step * 10_000
            try #require(try world.attempt("a", evenIfDown: true, isCheck: true, now: now))
                .failed(failure, at: 0, now: now)
        }
        #expect(world.log.count(of: "parent down") == 1 && world.log.count(of: "parent up") == 0)
    }

    /// Its own check fails, while the check of another member passes through it.
    @Test func passingACheckOnDoesNotOutweighAFailedOne() throws {
        let world = World("near", "far", through: ["far": "near"])
        for name in ["near", "far"] { try #require(world.records[name]).setChecked(true) }
        for step in 1...20 as ClosedRange<UInt64> {
            let now = step * 10_000
            try #require(try world.attempt("near", evenIfDown: true, isCheck: true, now: now))
                .answered(Reply.notAllowed.rawValue, now: now)
            try #require(try world.attempt("far", evenIfDown: true, isCheck: true, now: now))
                .failed(.loginRefused, at: 1, now: now)
            #expect(try !world.isUp("near") && !world.isUp("far"))
        }
        #expect(world.log.count(of: "parent down") == 2 && world.log.count(of: "parent up") == 0)
        try #require(try world.attempt("near", evenIfDown: true, isCheck: true, now: 300_000))
            .opened(now: 300_000)
        #expect(try world.isUp("near"))
    }

    @Test func aParentThatComesAndGoesIsLoggedOncePerSecond() throws {
        let world = World("a")
        for step in 0..<200 as Range<UInt64> {
            let now = step * 100
            try world.fail("a", .timedOut, now: now)
            try #require(try world.attempt("a", evenIfDown: true, now: now)).opened(now: now)
        }
        let lines = world.log.count(of: "parent down") + world.log.count(of: "parent up")
        #expect((10...21).contains(lines), "\(lines)")
        #expect(abs(world.log.count(of: "parent down") - world.log.count(of: "parent up")) <= 1)
    }

    // MARK: - Reloads

    @Test func aReloadKeepsTheStateOfRemainingParents() throws {
        let log = RecordedLog()
        let table = ParentTable(log.logger)
        var parents = Self.parents("a", "b", "c")
        parents[2].through = "b"
        let first = table.adopt(Self.configuration(parents))
        parents[1].credentials = Credentials(username: "alice", password: "open sesame")
        first["a"]?.counts.add(.opened, milliseconds: 1)
        first["b"]?.counts.add(.opened, milliseconds: 1)
        let second = table.adopt(Self.configuration(parents.reversed()))
        #expect(first["a"] === second["a"])
        #expect(first["b"] !== second["b"] && first["c"] !== second["c"], "one on the way is another now")
        #expect(first["b"]?.counts === second["b"]?.counts, "counts fall")
        #expect(second["c"]?.before.first === second["b"])
        #expect(table.all.map(\.name) == ["c", "b", "a"])
        #expect(table.adopt(Self.configuration([])).isEmpty && table.all.isEmpty)
    }

    /// A place is given back at the parent where it was taken, regardless of what a session turns to.
    @Test(arguments: [1, 2, 3] as [UInt64]) func placesAtParentsAreGivenBackOnce(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let world = World("a", "b", "c")
        let names = ["a", "b", "c"]
        var sessions = (0..<40).map { _ in (places: SessionPlaces(), at: String?.none) }
        for _ in 0..<20_000 {
            let index = sessions.indices.randomElement(using: &generator) ?? 0
            let name = names.randomElement(using: &generator).flatMap {
                Bool.random(using: &generator) ? $0 : nil
            }
            sessions[index].places.turn(to: name.flatMap { world.records[$0] })
            sessions[index].at = name
            for name in names {
                #expect(world.records[name]?.counts.sessions == sessions.count { $0.at == name })
            }
        }
        for index in sessions.indices { sessions[index].places.turn(to: nil) }
        #expect(names.allSatisfy { world.records[$0]?.counts.sessions == 0 })
    }
}
