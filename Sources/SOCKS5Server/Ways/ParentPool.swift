internal import Locks
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Interchangeable parents, as a route names them: one parent, or a group.
///
/// Any thread.
final class ParentPool: Sendable {
    let name: String
    let chains: [ParentChain]
    private let choice: ParentGroup.Choice
    private let chooser: Guarded<MemberChooser<SplitMix>>

    /// - Parameter chains: the members' chains, in their order.
    init(_ group: ParentGroup, _ chains: [ParentChain]) {
        name = group.name
        choice = group.choice
        self.chains = chains
        let generator = SplitMix(seed: .random(in: 0...UInt64.max))
        chooser = Guarded(MemberChooser(group.choice, of: group.members, generator))
    }

    /// Whether any of them carries datagrams.
    var passesDatagramsOn: Bool { chains.contains(where: \.passesDatagramsOn) }

    /// For a parent that is in no group.
    convenience init(_ chain: ParentChain) {
        self.init(ParentGroup(chain.name, anyOf: [.init(chain.name)]), [chain])
    }

    /// In the order in which they are tried, working ones first. At least one.
    func candidates(for target: Target?, _ subject: Subject) -> [ParentChain] {
        guard chains.count > 1 else { return chains }
        let now = LoopThread.now
        let members = chains.map { chain in
            MemberChooser<SplitMix>.Member(
                isWorking: chain.standing(now: now) != .down,
                sessions: choice == .leastSessions ? chain.last.record.counts.sessions : 0
            )
        }
        let order = chooser.withLock { chooser in
            chooser.order(members, for: key(of: target, subject))
        }
        return order.map { chains[$0] }
    }

    /// Whether none of them works, and no client may find out whether that has changed.
    var isDown: Bool {
        let now = LoopThread.now
        return chains.allSatisfy { $0.isDown(now: now) }
    }

    private func key(of target: Target?, _ subject: Subject) -> StableHash {
        switch choice {
        case .sameForUser:
            subject.user.map { StableHash($0) } ?? StableHash(ClientSource(subject.client).description.utf8)
        case .sameForDestination:
            switch target {
            case nil: StableHash([])
            case .address(let address, _): StableHash(address.description.utf8)
            case .name(let name, _): StableHash(name.description.utf8)
            }
        case .inOrder, .roundRobin, .leastSessions, .random:
            StableHash([])
        }
    }
}
