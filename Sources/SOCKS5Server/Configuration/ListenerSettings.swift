public import ProxyPolicy
internal import SOCKS5Protocol
package import UVLoop

extension Configuration {
    /// One way in, with settings of its own.
    public struct ListenerSettings: Sendable {
        public var address: ListenAddress
        /// How logs and metrics call it, with the address behind it where several have one name. `nil`: by its address.
        public var name: String?
        /// Whose connections are served; others are closed as soon as they are accepted. `nil`: anyone's.
        ///
        /// An IPv4-mapped address counts as the IPv4 one. A process that comes over a unix socket has no address, and is
        /// served: the socket's mode decides about it.
        public var clients: [IPNetwork]?
        /// Which one a client speaks, its first byte says. At least one.
        public var protocols: Set<ProxyProtocol> = [.socks5]
        public var login = Login.asConfigured
        /// `nil`: nobody logs in by Kerberos.
        public var gssapi: GSSAPI?
        /// Load balancers that say who the client is: each connection of theirs begins with a PROXY header (haproxy.org's
        /// PROXY protocol, versions 1 and 2), whose address is the client's for everything. A header that names nobody, as
        /// that of a health check, leaves the balancer as the client. Connections from elsewhere are closed. Any process
        /// that comes over a unix socket counts as one. `nil`: no connection has a header.
        public var proxyProtocol: [IPNetwork]?
        /// Asked before those of the user and those for all. The first one that matches decides.
        public var rules: [Rule] = []
        /// Asked before the routes of the user and those for all.
        public var routes: [Route] = []
        /// Of a unix socket's file: says which users of this machine may connect. Those of the owner and of the group by
        /// default.
        public var mode: UInt32 = 0o660
        /// Of its clients, behind a PROXY header where there is one. `nil`: there is none.
        public var tls: TLS?
        /// How often to look for an address that isn't there yet, as one of DHCP or of a VPN, or for the folder of a unix
        /// socket. `nil`: the server doesn't start without it.
        public var retry: Duration?
        /// Of its sources, counted apart from those of other listeners. `nil`: ``Configuration/limits`` bind them.
        public var limits: SourceLimits?
        /// Instead of ``Configuration/egress``. Addresses of the user come first. `nil`: as those of other listeners.
        public var egress: Egress?

        /// Between the wire and the protocols; `nil`: nothing.
        package var codecs: (any StreamCodecSource)?
        /// Of clients that log in by Kerberos; `nil`: none do.
        var contexts: (any SecurityContextSource)?

        public init(_ address: ListenAddress) {
            self.address = address
        }

        /// Whether all its clients are on this machine. Those that a load balancer names aren't.
        package var isOfThisMachine: Bool { address.isOfThisMachine && proxyProtocol == nil }

        /// Whether clients have names without a login: SOCKS4's user IDs, or certificates.
        var namesClients: Bool { protocols.contains(.socks4) || tls?.clientAuthority != nil }

        /// By what the connections of a listener's clients leave.
        public enum Egress: Hashable, Sendable {
            /// By the address of this machine that the client has reached, to targets of its family; interface and mark
            /// are those of ``Configuration/egress``.
            case incoming
            case fixed(Configuration.Egress)
        }

        /// Which clients of a listener log in (RFC 1928 section 3).
        public enum Login: Hashable, Sendable {
            /// All, where there are ``Configuration/users`` or a ``Configuration/credentialStore``; else none.
            case asConfigured
            /// All: method `02`. Without users or a credential store, the configuration is refused.
            case required
            /// None: method `00`, and nobody has a name.
            case never
            /// As ``asConfigured``, but for clients of these networks: they use method `00`.
            case except([IPNetwork])
        }
    }

    /// The addresses of ``listeners``. Those that are set keep the settings of a listener that is there already, and
    /// have none of their own otherwise.
    public var listen: [ListenAddress] {
        get { listeners.map(\.address) }
        set {
            listeners = newValue.map { address in
                listeners.first { $0.address == address } ?? ListenerSettings(address)
            }
        }
    }

    /// Whether there is somebody who can log in.
    package var hasLogins: Bool { !users.isEmpty || credentialStore != nil }

    /// Whether any client of a listener logs in.
    package func asksForLogin(at listener: ListenerSettings) -> Bool {
        listener.login != .never && hasLogins(at: listener)
    }

    /// Whether there is somebody who can log in at a listener.
    package func hasLogins(at listener: ListenerSettings) -> Bool { hasLogins || listener.gssapi != nil }

    /// The first listener that serves other machines without a login, whoever they are. `nil`: there is none.
    package var listenerOpenToStrangers: ListenerSettings? { listeners.first(where: isOpenToStrangers) }

    private func isOpenToStrangers(_ listener: ListenerSettings) -> Bool {
        if listener.isOfThisMachine || listener.tls?.clientAuthority != nil { return false }
        // Whoever may send a header may say that it is anybody.
        let knowsClients = listener.proxyProtocol?.allSatisfy(\.namesSomebody) ?? true
        if let clients = listener.clients, knowsClients, clients.allSatisfy(\.namesSomebody) { return false }
        guard asksForLogin(at: listener) else { return true }
        if case .except(let networks) = listener.login {
            return !knowsClients || !networks.allSatisfy(\.namesSomebody)
        }
        return false
    }

    /// What a reload changes of the listeners: the settings of those whose addresses the others have. The rest stays.
    mutating func adoptPolicy(ofListeners others: [ListenerSettings]) {
        // Several may have one address, where the system chooses their ports: then by their order.
        var others = others
        for (index, listener) in listeners.enumerated() {
            if let other = others.firstIndex(where: { $0.address == listener.address }) {
                listeners[index] = others.remove(at: other)
            }
        }
    }

    /// Refuses listeners at which nobody could do what is meant.
    func validateListeners() throws(ConfigurationError) {
        guard !listeners.isEmpty else { throw ConfigurationError("no address to listen on") }
        for listener in listeners {
            if listener.clients?.isEmpty == true {
                throw ConfigurationError(
                    "\(listener.address) serves no network; expected at least one, or nil"
                )
            }
            guard !listener.protocols.isEmpty else {
                throw ConfigurationError("\(listener.address) has no protocol; expected at least one")
            }
            if listener.tls != nil, let gssapi = listener.gssapi, gssapi.protection != [.none] {
                throw ConfigurationError(
                    "\(listener.address) protects twice, by TLS and GSSAPI; expected 'protection' to be none beside TLS"
                )
            }
            if listener.proxyProtocol?.isEmpty == true {
                throw ConfigurationError(
                    "\(listener.address) takes headers of no network; expected at least one, or nil"
                )
            }
            switch listener.login {
            case .asConfigured, .except: break
            case .required:
                guard hasLogins(at: listener) else {
                    throw ConfigurationError("\(listener.address) requires a login, and there are no users")
                }
            case .never where listener.namesClients: break
            case .never:
                if let index = listener.rules.firstIndex(where: { $0.users != nil }) {
                    throw ConfigurationError(
                        "rule \(index + 1) of \(listener.address) is about users, and nobody logs in there"
                    )
                }
            }
            for (index, rule) in listener.rules.enumerated() { try rule.validate(index + 1) }
            try listener.limits?.validate()
            if case .fixed(let egress) = listener.egress { try egress.validate() }
        }
        let isAnonymous = listeners.allSatisfy { $0.login == .never && !$0.namesClients }
        if isAnonymous, let index = rules.firstIndex(where: { $0.users != nil }) {
            throw ConfigurationError("rule \(index + 1) is about users, and nobody logs in at any listener")
        }
    }
}
