internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// A ``Policy``'s terms for one listener: the clients that it serves, their login, their limits, and their egress.
final class ListenerTerms: Sendable {
    private enum Login {
        case all, none
        case allBut(NetworkTable)
    }

    /// If `nil`, anyone.
    private let clients: NetworkTable?
    private let login: Login
    let protocols: ProxyProtocols
    let answersHTTP: Bool
    /// Makes a codec for each client, which all its bytes pass through. If `nil`, the bytes are the client's protocol.
    let codecs: (any StreamCodecSource)?
    /// Replaces the limits of all listeners; `nil` if the listener has none of its own.
    let bounds: SourceBounds?
    /// The listener's own egress. If `nil`, connections leave like those of other listeners.
    let egress: EgressWay?
    /// The peers whose PROXY headers are accepted. If `nil`, no header is expected.
    private let balancers: NetworkTable?
    /// Makes contexts for clients that log in by GSSAPI; `nil` if none do.
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

    /// Whether a peer may announce the client. A peer over a unix socket may.
    func isBalancer(_ peer: Peer) -> Bool {
        guard let balancers else { return false }
        return peer.address.map { balancers.contains($0) } ?? true
    }

    /// Whether a client may connect at all. A client over a unix socket may, and so may a load balancer on its own
    /// behalf.
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

    /// The method that is selected for a client, and the alternative.
    func methods(for client: Peer) -> (AuthenticationMethod, or: AuthenticationMethod?) {
        guard asksForLogin(client) else { return (.noAuthentication, nil) }
        guard contexts != nil else { return (.usernamePassword, nil) }
        return (.gssapi, hasPasswords ? .usernamePassword : nil)
    }
}
