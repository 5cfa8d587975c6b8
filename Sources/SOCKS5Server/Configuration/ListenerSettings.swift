public import ProxyPolicy

extension Configuration {
    /// One way in, with settings of its own.
    public struct ListenerSettings: Sendable {
        public var address: ListenAddress
        public var login = Login.asConfigured
        /// Asked before those of the user and those for all. The first one that matches decides.
        public var rules: [Rule] = []

        public init(_ address: ListenAddress) {
            self.address = address
        }

        /// Which clients of a listener log in (RFC 1928 section 3).
        public enum Login: String, CaseIterable, Sendable {
            /// All, where there are ``Configuration/users`` or a ``Configuration/credentialStore``; else none.
            case asConfigured = "as-configured"
            /// None: method `00`, and nobody has a name.
            case never
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

    /// Whether clients of a listener log in.
    func asksForLogin(at listener: ListenerSettings) -> Bool {
        listener.login == .asConfigured && (!users.isEmpty || credentialStore != nil)
    }

    /// What a reload changes of the listeners: the settings of those whose addresses the others have. The rest stays.
    mutating func adoptPolicy(ofListeners others: [ListenerSettings]) {
        for (index, listener) in listeners.enumerated() {
            if let other = others.first(where: { $0.address == listener.address }) {
                listeners[index] = other
            }
        }
    }
}
