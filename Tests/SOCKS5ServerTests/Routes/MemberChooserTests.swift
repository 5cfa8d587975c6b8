import TestSupport
import Testing

@testable import SOCKS5Server

@Suite struct MemberChooserTests {
    private typealias Chooser = MemberChooser<SeededGenerator>

    private static func chooser(
        _ choice: ParentGroup.Choice,
        _ weights: [String: Int],
        seed: UInt64 = 1
    ) -> Chooser {
        let members = weights.sorted { $0.key < $1.key }.map { ParentGroup.Member($0.key, weight: $0.value) }
        return Chooser(choice, of: members, SeededGenerator(seed: seed))
    }

    private static func members(_ count: Int, down: Set<Int> = [], sessions: [Int] = []) -> [Chooser.Member] {
        (0..<count).map { index in
            Chooser.Member(
                isWorking: !down.contains(index),
                sessions: sessions.indices.contains(index) ? sessions[index] : 0
            )
        }
    }

    private static func order(_ chooser: inout Chooser, _ members: [Chooser.Member], _ number: Int = 0)
        -> [Int]
    {
        chooser.order(members, for: key(number))
    }

    private static func key(_ number: Int) -> StableHash { StableHash("key \(number)".utf8) }

    @Test(arguments: ParentGroup.Choice.allCases)
    func eachMemberIsInTheOrderOnceAndWorkingOnesComeFirst(_ choice: ParentGroup.Choice) {
        var generator = SeededGenerator(seed: 7)
        for count in 1...9 {
            let names = (0..<count).map { ("m\($0)", Int.random(in: 1...5, using: &generator)) }
            var chooser = Self.chooser(choice, Dictionary(uniqueKeysWithValues: names))
            for step in 0..<200 {
                let down = Set((0..<count).filter { _ in Bool.random(using: &generator) })
                let sessions = (0..<count).map { _ in Int.random(in: 0...50, using: &generator) }
                let members = Self.members(count, down: down, sessions: sessions)
                let order = chooser.order(members, for: Self.key(step))
                #expect(order.sorted() == Array(0..<count))
                #expect(order.drop { !down.contains($0) }.allSatisfy { down.contains($0) })
            }
        }
    }

    @Test func inOrderTheFirstThatWorksComesFirst() {
        var chooser = Self.chooser(.inOrder, ["a": 1, "b": 9, "c": 1])
        #expect(Self.order(&chooser, Self.members(3)) == [0, 1, 2])
        #expect(Self.order(&chooser, Self.members(3, down: [0])) == [1, 2, 0])
        #expect(Self.order(&chooser, Self.members(3, down: [0, 1, 2])) == [0, 1, 2])
    }

    /// In any run of as many turns as the sum of weights, each member has as many turns as its weight.
    @Test func turnsAreAsManyAsWeightsAndNotInARow() {
        var chooser = Self.chooser(.roundRobin, ["a": 5, "b": 1, "c": 1])
        let turns = (0..<70).map { _ in chooser.order(Self.members(3), for: Self.key(0))[0] }
        for start in stride(from: 0, to: 70, by: 7) {
            let round = turns[start..<(start + 7)]
            #expect(
                round.count { $0 == 0 } == 5 && round.count { $0 == 1 } == 1 && round.count { $0 == 2 } == 1
            )
        }
        #expect(Array(turns[..<7]) == [0, 0, 1, 0, 2, 0, 0])
    }

    @Test func turnsOfAMemberThatIsDownGoToAllOthersByTheirWeights() {
        var chooser = Self.chooser(.roundRobin, ["a": 2, "b": 1, "c": 3])
        let turns = (0..<30).map { _ in chooser.order(Self.members(3, down: [2]), for: Self.key(0))[0] }
        #expect(turns.count { $0 == 0 } == 20 && turns.count { $0 == 1 } == 10)
    }

    @Test func aMemberThatIsBackHasItsTurnsAsBefore() {
        var chooser = Self.chooser(.roundRobin, ["a": 1, "b": 1, "c": 1])
        for gone in 0..<3 {
            for _ in 0..<(7 + gone) { _ = chooser.order(Self.members(3, down: [gone]), for: Self.key(0)) }
            let turns = (0..<3).map { _ in chooser.order(Self.members(3), for: Self.key(0))[0] }
            #expect(turns.sorted() == [0, 1, 2])
        }
    }

    @Test func theLeastSessionsCountByWeight() {
        var chooser = Self.chooser(.leastSessions, ["a": 1, "b": 2, "c": 4])
        var sessions = [0, 0, 0]
        for _ in 0..<700 {
            sessions[chooser.order(Self.members(3, sessions: sessions), for: Self.key(0))[0]] += 1
        }
        #expect(
            abs(sessions[0] - 100) < 3 && abs(sessions[1] - 200) < 3 && abs(sessions[2] - 400) < 3,
            "\(sessions)"
        )
    }

    @Test func ofMembersWithAsManySessionsAnyMayBeFirst() {
        var chooser = Self.chooser(.leastSessions, ["a": 1, "b": 1, "c": 1])
        let first = (0..<100).map { _ in chooser.order(Self.members(3), for: Self.key(0))[0] }
        #expect(Set(first) == [0, 1, 2])
    }

    @Test func chanceFollowsWeights() {
        var chooser = Self.chooser(.random, ["a": 1, "b": 2, "c": 5], seed: 42)
        var counts = [0, 0, 0]
        for _ in 0..<8000 { counts[chooser.order(Self.members(3), for: Self.key(0))[0]] += 1 }
        for (index, expected) in [1000, 2000, 5000].enumerated() {
            #expect(abs(counts[index] - expected) < 200, "\(counts)")
        }
    }

    @Test(arguments: [ParentGroup.Choice.sameForUser, .sameForDestination])
    func aKeyHasAlwaysTheSameMemberAndKeysFollowWeights(_ choice: ParentGroup.Choice) {
        let weights = ["a": 1, "b": 1, "c": 3, "d": 5]
        var (one, other) = (Self.chooser(choice, weights), Self.chooser(choice, weights, seed: 99))
        var counts = [0, 0, 0, 0]
        for number in 0..<10_000 {
            let order = one.order(Self.members(4), for: Self.key(number))
            #expect(order == Self.order(&other, Self.members(4), number))
            counts[order[0]] += 1
        }
        for (index, expected) in [1000, 1000, 3000, 5000].enumerated() {
            #expect(abs(counts[index] - expected) < 250, "\(counts)")
        }
    }

    /// Whether it leaves the group or is down.
    @Test func aRemovedMemberMovesOnlyItsOwnShare() {
        let all = ["a": 1, "b": 2, "c": 3, "d": 4]
        var whole = Self.chooser(.sameForUser, all)
        for (place, gone) in all.keys.sorted().enumerated() {
            var rest = all
            rest[gone] = nil
            var smaller = Self.chooser(.sameForUser, rest)
            let (allNames, names) = (all.keys.sorted(), rest.keys.sorted())
            var moved: [String: Int] = [:]
            for number in 0..<10_000 {
                let key = Self.key(number)
                let before = allNames[whole.order(Self.members(4), for: key)[0]]
                let after = names[smaller.order(Self.members(3), for: key)[0]]
                let whileDown = allNames[whole.order(Self.members(4, down: [place]), for: key)[0]]
                #expect(after == whileDown)
                if before == gone { moved[after, default: 0] += 1 } else { #expect(before == after) }
            }
            let total = moved.values.reduce(0, +)
            let weightLeft = rest.values.reduce(0, +)
            #expect(abs(total - 1000 * (all[gone] ?? 0)) < 250, "\(gone): \(total)")
            for (name, count) in moved {
                let expected = total * (rest[name] ?? 0) / weightLeft
                #expect(abs(count - expected) < 250, "\(gone) to \(name): \(count) of \(expected)")
            }
        }
    }

    @Test func aWeightThatGrowsTakesKeysFromOthersAndGivesNoneAway() {
        var (light, heavy) = (
            Self.chooser(.sameForUser, ["a": 1, "b": 1]), Self.chooser(.sameForUser, ["a": 3, "b": 1])
        )
        for number in 0..<10_000 {
            let before = light.order(Self.members(2), for: Self.key(number))[0]
            let after = heavy.order(Self.members(2), for: Self.key(number))[0]
            if before == 0 { #expect(after == 0) }
        }
    }

    /// In any process: the numbers come from a different program.
    @Test func hashesAreTheSameEverywhere() {
        #expect(StableHash("".utf8).value == 0xcbf2_9ce4_8422_2325)
        #expect(StableHash("a".utf8).value == 0xaf63_dc4c_8601_ec8c)
        #expect(SplitMix(seed: 0).first == 0xe220_a839_7b1d_cdaf)
    }
}
