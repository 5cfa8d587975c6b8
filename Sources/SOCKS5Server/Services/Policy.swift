internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// Everything that a reload replaces, as one value: the users, and the rules for them.
///
/// Each worker has the current one, and gets the next one through its mailbox, so that no lock is needed. A handshake
/// ends with the policy that it began with. Everything else uses the current one, including each datagram of a
/// long-running association.
final class Policy: Sendable {
    let access: AccessPolicy
    let ways: Ways
    /// Addresses that no parent may have.
    let ownListeners: OwnListeners
    let places: OwnPlaces
    private let listenerTerms: [ListenerTerms]
    /// If `nil`, no login is required.
    let credentials: (any CredentialStore)?
    let loginBan: LoginBan?
    let limits: LimitTable
    /// Whether a user's name may end with a session id.
    let hasSessionIDs: Bool
    private let egress: EgressWay
    private let egressPerUser: [[UInt8]: EgressAddresses]

    /// - Parameters:
    ///   - places: the addresses that the server listens on.
    ///   - parents: all parents of the configuration.
    ///   - previous: the policy in use, whose successful logins are kept.
    init(
        _ configuration: Configuration,
        at places: OwnPlaces,
        parents: [String: ParentRecord],
        _ hashThreads: HashThreads,
        replacing previous: Policy? = nil
    ) {
        ownListeners = OwnListeners(configuration, places.addresses)
        self.places = places
        access = AccessPolicy(
            RuleTable(configuration.rules),
            UserRules(configuration.users),
            listeners: configuration.listeners.map { RuleTable($0.rules) },
            configuration.guardsDestinations
                ? DestinationGuard(exceptions: configuration.destinationGuard.exceptions, ownListeners) : nil,
            configuration.ruleSet
        )
        ways = Ways(configuration, parents)
        listenerTerms = configuration.listeners.map { ListenerTerms($0, configuration) }
        credentials =
            configuration.users.isEmpty
            ? configuration.credentialStore
            : UserTable(
                configuration.users,
                { await hashThreads.compute($0, for: $1) },
                replacing: previous?.credentials as? UserTable
            )
        loginBan = configuration.loginBan
        limits = LimitTable(configuration.limits, configuration.users)
        hasSessionIDs = configuration.hasSessionIDs
        egress = EgressWay(configuration.egress)
        egressPerUser = configuration.egressPerUser
    }

    func terms(of listener: ListenerName) -> ListenerTerms { terms(of: listener.index) }

    /// - Parameter listener: its index among all.
    func terms(of listener: Int) -> ListenerTerms { listenerTerms[listener] }

    /// Whether the current policy would allow a session everything that it has done so far.
    ///
    /// A credential store other than the built-in one is asked by ``ProxyServer/endRefused()``, once for all sessions.
    func isStillAllowed(_ record: SessionRecord) -> Bool {
        let listener = terms(of: record.listener)
        guard listener.serves(record.client, isNamed: record.balancer != nil) else { return false }
        let needsLogin = listener.asksForLogin(record.client)
        if needsLogin, let user = record.username, !admits(user, of: record) { return false }
        guard let command = record.command else { return true }
        if needsLogin && record.username == nil { return false }
        let subject = Subject(record, command)
        guard let destination = record.destination,
            let intent = Intent(SOCKSRequest(command: command, destination: destination))
        else { return true }
        if access.denial(of: intent, to: subject) != nil { return false }
        // The address of a parent is the operator's choice.
        guard command == .connect, record.way?.parent == nil,
            case .ip(let address, let port)? = record.address
        else { return true }
        let name: HostName? = if case .name(let name, _)? = intent.target { name } else { nil }
        return access.denial(of: address, port: port, named: name, to: subject) == nil
    }

    private func admits(_ user: [UInt8], of record: SessionRecord) -> Bool {
        if record.isProven { return admits(proven: user, from: record.client) }
        guard let users = credentials as? UserTable else { return true }
        return users.admits(user, from: record.client)
    }

    /// Whether a client with a proved identity may continue. Configured users may if they could log in now and from
    /// there; other users always may.
    func admits(proven user: [UInt8], from client: Peer) -> Bool {
        guard let users = credentials as? UserTable, users.has(user) else { return true }
        return users.admits(user, from: client)
    }

    /// The egress of one connection for a subject: an address of the user, otherwise the listener's egress, otherwise
    /// the common one.
    func egress(of subject: Subject, isIPv6: Bool) -> EgressOptions {
        let way = listenerTerms[subject.listener].egress ?? egress
        return way.options(for: subject, isIPv6: isIPv6, own: ownEgress(of: subject))
    }

    /// The source address for a subject's connections to a family; `nil` if the system chooses one.
    ///
    /// - Parameter way: the route's egress; it replaces all others.
    func source(of subject: Subject, isIPv6: Bool, by way: EgressWay?) -> EgressWay.Source? {
        if let way { return way.source(for: subject, isIPv6: isIPv6, own: nil) }
        let way = listenerTerms[subject.listener].egress ?? egress
        return way.source(for: subject, isIPv6: isIPv6, own: ownEgress(of: subject))
    }

    private func ownEgress(of subject: Subject) -> EgressAddresses? {
        if let own = subject.terms?.egress, !own.isEmpty { return own }
        guard !egressPerUser.isEmpty, let user = subject.user else { return nil }
        return egressPerUser[user]
    }

    /// Whether ``egress(of:isIPv6:)`` uses the address that clients of the listener have connected to.
    func needsReachedAddress(at listener: ListenerName) -> Bool {
        ways.needReachedAddress || (terms(of: listener).egress ?? egress).needsReachedAddress
    }
}

extension OwnListeners {
    /// - Parameter listeners: the server's listening addresses, which others may also reach by its advertised
    ///   addresses.
    fileprivate init(_ configuration: Configuration, _ listeners: [SocketAddress]) {
        let advertised = configuration.advertisedAddresses.flatMap { address in
            listeners.map { (address, $0.port) }
        }
        self.init(listeners.map { (IPAddress($0.host), $0.port) } + advertised) {
            SocketAddress($0, port: 0).isOfThisMachine
        }
    }
}
