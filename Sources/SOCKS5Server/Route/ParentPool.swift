internal import ProxyPolicy
internal import SOCKS5Protocol

/// Parents any of which will do, as a route names them: one, or a group.
final class ParentPool: Sendable {
    let name: String
    let chains: [ParentChain]

    init(_ name: String, _ chains: [ParentChain]) {
        self.name = name
        self.chains = chains
    }

    /// In the order in which they are tried. At least one.
    func candidates(for target: Target?, _ subject: Subject) -> [ParentChain] { chains }
}
