internal import Glibc

/// Orders the members of a group for an attempt. Working members come first; the others follow in the same order, since
/// one of them may work again.
///
/// Pure: the same calls with a generator of the same seed give the same orders.
struct MemberChooser<Generator: RandomNumberGenerator> {
    /// A member of the group, in its current state.
    struct Member {
        let isWorking: Bool
        let sessions: Int
    }

    private let choice: ParentGroup.Choice
    private let weights: [Int]
    /// Hashes of the members' names, the same in each process.
    private let names: [UInt64]
    /// The members' credits for turns: each gains its weight at each turn, and pays for all weights at its own turn.
    private var credits: [Int]
    /// The members that take turns. When this changes, all credits start over.
    private var working: [Int] = []
    private var generator: Generator

    init(_ choice: ParentGroup.Choice, of members: [ParentGroup.Member], _ generator: Generator) {
        self.choice = choice
        weights = members.map(\.weight)
        names = members.map { StableHash($0.name.utf8).value }
        credits = members.map { _ in 0 }
        self.generator = generator
    }

    /// The indices of all members, each once. O(n log n) for n members.
    ///
    /// - Parameters:
    ///   - members: in the order of the group.
    ///   - key: selects the member that stays the same, see ``ParentGroup/Choice``.
    mutating func order(_ members: [Member], for key: @autoclosure () -> StableHash) -> [Int] {
        let ranks = ranks(of: members, key)
        return members.indices.sorted { one, other in
            if members[one].isWorking != members[other].isWorking { return members[one].isWorking }
            return ranks[one] == ranks[other] ? one < other : ranks[one] < ranks[other]
        }
    }

    /// Members with lower ranks come first.
    private mutating func ranks(of members: [Member], _ key: () -> StableHash) -> [Double] {
        switch choice {
        case .inOrder:
            return members.map { _ in 0 }
        case .roundRobin:
            return takeTurn(among: members)
        case .leastSessions:
            // Below 1 for equal members, so that not all clients of an idle group get the first one.
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

    /// The member with the most credit has its turn, so that turns of a member with a large weight don't come in a row.
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

    /// The waiting time until an event with this rate first occurs, for a uniform number: the shortest of several waits
    /// is a member's in proportion to its weight. It depends on no other member, so changing one member doesn't move
    /// the others' clients.
    private static func wait(_ part: Double, _ weight: Int) -> Double { -log(part) / Double(weight) }

    /// Above 0, at most 1.
    private static func part(of bits: UInt64) -> Double { Double((bits >> 11) + 1) * 0x1p-53 }
}
