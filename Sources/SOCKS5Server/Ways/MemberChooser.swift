internal import Glibc

/// Says in which order the members of a group are tried. Those that work come first; among the others the same order
/// holds, since one of them may work again.
///
/// Pure: the same calls with a generator of the same seed give the same orders.
struct MemberChooser<Generator: RandomNumberGenerator> {
    /// One of the group, at this moment.
    struct Member {
        let isWorking: Bool
        let sessions: Int
    }

    private let choice: ParentGroup.Choice
    private let weights: [Int]
    /// Of the members' names, the same in each process.
    private let names: [UInt64]
    /// What members have to their credit, for turns: each gets its weight at each turn, and pays for all at its own.
    private var credits: [Int]
    /// Those that take turns. When others do, all begin anew.
    private var working: [Int] = []
    private var generator: Generator

    init(_ choice: ParentGroup.Choice, of members: [ParentGroup.Member], _ generator: Generator) {
        self.choice = choice
        weights = members.map(\.weight)
        names = members.map { StableHash($0.name.utf8).value }
        credits = members.map { _ in 0 }
        self.generator = generator
    }

    /// The places of all members, each once. O(n log n) for n members.
    ///
    /// - Parameters:
    ///   - members: in the order of the group.
    ///   - key: what the same member is wanted for, see ``ParentGroup/Choice``.
    mutating func order(_ members: [Member], for key: @autoclosure () -> StableHash) -> [Int] {
        let ranks = ranks(of: members, key)
        return members.indices.sorted { one, other in
            if members[one].isWorking != members[other].isWorking { return members[one].isWorking }
            return ranks[one] == ranks[other] ? one < other : ranks[one] < ranks[other]
        }
    }

    /// The lower, the earlier.
    private mutating func ranks(of members: [Member], _ key: () -> StableHash) -> [Double] {
        switch choice {
        case .inOrder:
            return members.map { _ in 0 }
        case .roundRobin:
            return takeTurn(among: members)
        case .leastSessions:
            // Below 1 for members that are even, so that not all clients of a quiet group get the first one.
            return members.indices.map { index in
                let load = Double(members[index].sessions + 1) / Double(weights[index])
                return load * (1 + Double.random(in: 0..<1e-6, using: &generator))
            }
        case .random:
            return weights.indices.map { Self.wait(Self.part(of: generator.next()), weights[$0]) }
        case .sameForUser, .sameForDestination:
            let key = key()
            return weights.indices.map { Self.wait(Self.part(of: key.mixed(with: names[$0])), weights[$0]) }
        }
    }

    /// The one with the most credit has its turn: so that turns of a member of great weight don't come in a row.
    private mutating func takeTurn(among members: [Member]) -> [Double] {
        let nowWorking = members.indices.filter { members[$0].isWorking }
        if nowWorking != working {
            working = nowWorking
            credits = members.map { _ in 0 }
        }
        let taking = working.isEmpty ? Array(members.indices) : working
        for index in taking { credits[index] += weights[index] }
        let ranks = credits.map { -Double($0) }
        if let next = taking.max(by: { (credits[$0], -$0) < (credits[$1], -$1) }) {
            credits[next] -= taking.reduce(0) { $0 + weights[$1] }
        }
        return ranks
    }

    /// When something that happens so many times a second happens first, for an even number: the shortest wait of several
    /// is one member's as often as its weight is a part of all weights. Without others' numbers, it changes nobody else's.
    private static func wait(_ part: Double, _ weight: Int) -> Double { -log(part) / Double(weight) }

    /// Above 0, at most 1.
    private static func part(of bits: UInt64) -> Double { Double((bits >> 11) + 1) * 0x1p-53 }
}
