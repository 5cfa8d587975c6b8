internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// What a ``Policy`` has of one listener: whom it serves, how they log in, what they may take, and by what they leave.
final class ListenerTerms: Sendable {
    private enum Login {
        case all, none
        case allBut(NetworkTable)
    }

    /// `nil`: anyone.
    private let clients: NetworkTable?
    private let login: Login
    let protocols: ProxyProtocols
    let answersHTTP: Bool
    /// Through which all bytes of a client pass, one for each; `nil`: they are the client's protocol.
    let codecs: (any StreamCodecSource)?
    /// Instead of those for all listeners; `nil`: there are none.
    let bounds: SourceBounds?
    /// Of a listener that has its own; `nil`: connections leave as those of the others.
    let egress: EgressWay?
    /// Whose PROXY headers count; `nil`: nobody sends one.
    private let balancers: NetworkTable?
    /// Of clients that log in by GSSAPI; `nil`: none do.
    let contexts: (any SecurityContextSource)?
    private let hasPasswords: Bool

    init(_ listener: Configuration.ListenerSettings, _ configuration: Configuration) {
        contexts = listener.contexts
        hasPasswords = configuration.hasLogins
        clients = listener.clients.map { NetworkTable($0) }
        protocols = ProxyProtocols(listener.protocols)
        answersHTTP = configuration.answersHTTP
        codecs = listener.codecs
        balancers = listener.proxyProtocol.map { NetworkTable($0) }
        switch listener.login {
        case _ where !configuration.asksForLogin(at: listener): login = .none
        case .never: login = .none
        case .asConfigured, .required: login = .all
        case .except(let networks): login = .allBut(NetworkTable(networks))
        }
        bounds = listener.limits.map { SourceBounds($0) }
        switch listener.egress {
        case nil: egress = nil
        case .incoming: egress = EgressWay(configuration.egress, leavesByReachedAddress: true)
        case .fixed(let own): egress = EgressWay(own)
        }
    }

    /// Whether a connection begins with a PROXY header.
    var awaitsHeader: Bool { balancers != nil }

    /// Whether a peer may say who the client is. One over a unix socket may.
    func isBalancer(_ peer: Peer) -> Bool {
        guard let balancers else { return false }
        return peer.address.map { balancers.contains($0) } ?? true
    }

    /// Whether a client may connect at all. One over a unix socket may, and so may a load balancer for itself.
    ///
    /// - Parameter isNamed: whether a header has named the client.
    func serves(_ client: Peer, isNamed: Bool) -> Bool {
        guard let clients, let address = client.address else { return true }
        return clients.contains(address) || !isNamed && isBalancer(client)
    }

    func asksForLogin(_ client: Peer) -> Bool {
        switch login {
        case .all: true
        case .none: false
        case .allBut(let networks): client.address.map { !networks.contains($0) } ?? true
        }
    }

    /// The one that is selected for a client, or else the other one.
    func methods(for client: Peer) -> (AuthenticationMethod, or: AuthenticationMethod?) {
        guard asksForLogin(client) else { return (.noAuthentication, nil) }
        guard contexts != nil else { return (.usernamePassword, nil) }
        return (.gssapi, hasPasswords ? .usernamePassword : nil)
    }
}
