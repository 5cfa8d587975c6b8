internal import ProxyPolicy
internal import SOCKS5Protocol

/// What a ``Policy`` has of one listener: whom it serves, and how they log in.
struct ListenerTerms: Sendable {
    private enum Login {
        case all, none
        case allBut(NetworkTable)
    }

    /// `nil`: anyone.
    private let clients: NetworkTable?
    private let login: Login
    let protocols: ProxyProtocols

    init(_ listener: Configuration.ListenerSettings, _ configuration: Configuration) {
        clients = listener.clients.map { NetworkTable($0) }
        protocols = ProxyProtocols(listener.protocols)
        switch listener.login {
        case _ where !configuration.asksForLogin(at: listener): login = .none
        case .never: login = .none
        case .asConfigured, .required: login = .all
        case .except(let networks): login = .allBut(NetworkTable(networks))
        }
    }

    /// Whether a client may connect at all. One over a unix socket may.
    func serves(_ client: Peer) -> Bool {
        guard let clients, let address = client.address else { return true }
        return clients.contains(address)
    }

    func asksForLogin(_ client: Peer) -> Bool {
        switch login {
        case .all: true
        case .none: false
        case .allBut(let networks): client.address.map { !networks.contains($0) } ?? true
        }
    }

    /// The one that is selected for a client.
    func method(for client: Peer) -> AuthenticationMethod {
        asksForLogin(client) ? .usernamePassword : .noAuthentication
    }
}
