internal import ProxyPolicy

extension Configuration.ListenerSettings {
    /// TLS between a listener and its clients, with the trait `TLS`: without it, such a configuration is refused. The files
    /// are read at the start and by each reload.
    public struct TLS: Hashable, Sendable {
        /// The oldest version that is spoken.
        public enum Version: String, Hashable, Sendable, CaseIterable {
            case tls12 = "1.2"
            case tls13 = "1.3"
        }

        /// A file with the server's certificate, and those that lead to its CA behind it (PEM).
        public var certificate: String
        /// A file with the private key of the certificate (PEM), which others must not be able to read.
        public var key: String
        /// A file with CAs (PEM). Each client must have a certificate of one of them, whose common name is the user. `nil`:
        /// clients need none.
        public var clientAuthority: String?
        public var minimum = Version.tls12

        public init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }
}

extension Parent {
    /// TLS to a parent, with the trait `TLS`: without it, such a configuration is refused.
    public struct TLS: Hashable, Sendable {
        /// A file with the CAs (PEM) by one of which the parent proves who it is. `nil`: those of the system, unless there
        /// is a ``pin``.
        public var authority: String?
        /// A host's name or an address, which the parent's certificate must have. `nil`: the host that is dialled.
        public var serverName: String?
        /// The SHA-256 of the only public key that the parent may have (a SubjectPublicKeyInfo), 32 bytes. It suffices
        /// without an ``authority``, and counts beside one.
        public var pin: [UInt8]?

        public init() {}

        static let pinLength = 32
    }
}

extension Configuration {
    /// Refuses TLS to parents that can't be.
    func validateTLS(of parent: Parent, _ title: String) throws(ConfigurationError) {
        guard let tls = parent.tls else { return }
        guard parent.kind != .socks4 else {
            throw ConfigurationError("\(title) has TLS with SOCKS4; expected SOCKS5 or HTTP")
        }
        if let pin = tls.pin, pin.count != Parent.TLS.pinLength {
            throw ConfigurationError("\(title) has a pin of \(pin.count) bytes; expected 32")
        }
        if tls.serverName == nil, tls.pin == nil || tls.authority != nil, case .unix = parent.place {
            throw ConfigurationError(
                "\(title) is a unix socket; expected a name for its certificate, or a pin"
            )
        }
        var next = parent.through
        while let name = next, let other = parents.first(where: { $0.name == name }) {
            guard other.tls == nil else {
                throw ConfigurationError(
                    "\(title) has TLS behind a parent with TLS; expected it at one of both"
                )
            }
            next = other.through
        }
    }
}
