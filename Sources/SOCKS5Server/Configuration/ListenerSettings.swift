public import ProxyPolicy
internal import SOCKS5Protocol
package import UVLoop

extension Configuration {
    /// A listener, with settings of its own.
    public struct ListenerSettings: Sendable {
        public var address: ListenAddress
        /// Its name in logs and metrics, followed by the address if several listeners share one name. If `nil`, the
        /// address is used.
        public var name: String?
        /// The networks whose clients are served; other connections are closed as soon as they are accepted. If `nil`,
        /// everyone is served.
        ///
        /// An IPv4-mapped address counts as the IPv4 address. A process that connects over a unix socket has no address
        /// and is served: access to the socket is decided by its mode.
        public var clients: [IPNetwork]?
        /// The protocols that are served. A client's first byte says which one it speaks. At least one.
        public var protocols: Set<ProxyProtocol> = [.socks5]
        public var login = Login.asConfigured
        /// If `nil`, logins by Kerberos aren't offered.
        public var gssapi: GSSAPI?
        /// Load balancers that announce their clients: each of their connections begins with a PROXY header
        /// (haproxy.org's PROXY protocol, versions 1 and 2), and its address is used as the client's everywhere. If a
        /// header names no client, as in a health check, the balancer counts as the client. Connections from elsewhere
        /// are closed. Every process that connects over a unix socket counts as a balancer. If `nil`, connections have
        /// no header.
        public var proxyProtocol: [IPNetwork]?
        /// Checked before the user's rules and the rules for all. The first match decides.
        public var rules: [Rule] = []
        /// Checked before the user's routes and the routes for all.
        public var routes: [Route] = []
        /// The mode of a unix socket's file, which decides who on this machine may connect. By default, its owner and
        /// its group.
        public var mode: UInt32 = 0o660
        /// TLS with clients; it starts after the PROXY header if there is one. `nil` for no TLS.
        public var tls: TLS?
        /// How often to try again if the address doesn't exist yet, such as one of DHCP or a VPN, or if the folder of a
        /// unix socket doesn't. If `nil`, the server doesn't start without the address.
        public var retry: Duration?
        /// Limits per source, counted apart from other listeners. If `nil`, ``Configuration/limits`` apply.
        public var limits: SourceLimits?
        /// Replaces ``Configuration/egress``. A user's addresses take precedence. If `nil`, ``Configuration/egress``
        /// applies.
        public var egress: Egress?

        /// Makes the codecs between the wire and the protocols; `nil` if there are none.
        package var codecs: (any StreamCodecSource)?
        /// Makes contexts for clients that log in by Kerberos; `nil` if none do.
        var contexts: (any SecurityContextSource)?

        public init(_ address: ListenAddress) {
            self.address = address
        }

        /// Whether all its clients are on this machine. Clients that a load balancer names aren't.
        package var isOfThisMachine: Bool { address.isOfThisMachine && proxyProtocol == nil }

        /// Whether clients have names without a login: SOCKS4's user IDs, or certificates.
        var namesClients: Bool { protocols.contains(.socks4) || tls?.clientAuthority != nil }

        /// The address from which connections for a listener's clients leave.
        public enum Egress: Hashable, Sendable {
            /// The address of this machine that the client has connected to, for targets of the same family. Interface
            /// and mark are those of ``Configuration/egress``.
            case incoming
            case fixed(Configuration.Egress)
        }

        /// Which clients of a listener log in (RFC 1928 section 3).
        public enum Login: Hashable, Sendable {
            /// All clients, if there are ``Configuration/users`` or a ``Configuration/credentialStore``; otherwise
            /// none.
            case asConfigured
            /// All clients, by method `02`. Without users or a credential store, the configuration is refused.
            case required
            /// No client: method `00`, and clients have no names.
            case never
            /// As ``asConfigured``, except for clients of these networks: they use method `00`.
            case except([IPNetwork])
        }
    }

    /// The addresses of ``listeners``. When set, an address that is already there keeps its listener's settings; a new
    /// one gets the defaults.
    public var listen: [ListenAddress] {
        get { listeners.map(\.address) }
        set {
            listeners = newValue.map { address in
                listeners.first { $0.address == address } ?? ListenerSettings(address)
            }
        }
    }

    /// Whether anyone can log in.
    package var hasLogins: Bool { !users.isEmpty || credentialStore != nil }

    /// Whether any client of a listener logs in.
    package func asksForLogin(at listener: ListenerSettings) -> Bool {
        listener.login != .never && hasLogins(at: listener)
    }

    /// Whether anyone can log in at a listener.
    package func hasLogins(at listener: ListenerSettings) -> Bool { hasLogins || listener.gssapi != nil }

    /// The first listener that serves unrestricted clients on other machines without a login. `nil` if there is none.
    package var listenerOpenToStrangers: ListenerSettings? { listeners.first(where: isOpenToStrangers) }

    private func isOpenToStrangers(_ listener: ListenerSettings) -> Bool {
        if listener.isOfThisMachine || listener.tls?.clientAuthority != nil { return false }
        // A peer that may send a header can claim to be anyone.
        let knowsClients = listener.proxyProtocol?.allSatisfy(\.namesSomebody) ?? true
        if let clients = listener.clients, knowsClients, clients.allSatisfy(\.namesSomebody) { return false }
        guard asksForLogin(at: listener) else { return true }
        if case .except(let networks) = listener.login {
            return !knowsClients || !networks.allSatisfy(\.namesSomebody)
        }
        return false
    }

    /// Applies a reload to the listeners: each takes the settings of the listener in `others` with the same address.
    /// Listeners without a match keep theirs.
    mutating func adoptPolicy(ofListeners others: [ListenerSettings]) {
        // Several may share one address if the system chooses their ports; those are matched by their order.
        var others = others
        for (index, listener) in listeners.enumerated() {
            if let other = others.firstIndex(where: { $0.address == listener.address }) {
                listeners[index] = others.remove(at: other)
            }
        }
    }

    /// Refuses listeners whose settings contradict each other.
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
