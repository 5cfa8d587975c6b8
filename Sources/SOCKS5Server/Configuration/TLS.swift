internal import ProxyPolicy

extension Configuration.ListenerSettings {
    /// TLS between a listener and its clients. Needs the trait `TLS`; without the trait, such a configuration is
    /// refused. The files are read at the start and by each reload.
    public struct TLS: Hashable, Sendable {
        /// The oldest version that is accepted.
        public enum Version: String, Hashable, Sendable, CaseIterable {
            case tls12 = "1.2"
            case tls13 = "1.3"
        }

        /// The file with the server's certificate, followed by the intermediate certificates up to its CA (PEM).
        public var certificate: String
        /// The file with the certificate's private key (PEM). Others must not be able to read it.
        public var key: String
        /// The file with CAs for clients (PEM). Each client must then have a certificate of one of them, and its common
        /// name is the user. If `nil`, clients need no certificate.
        public var clientAuthority: String?
        public var minimum = Version.tls12

        public init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }
}

extension Parent {
    /// TLS to a parent. Needs the trait `TLS`; without the trait, such a configuration is refused.
    public struct TLS: Hashable, Sendable {
        /// The file with the CAs (PEM) that the parent is verified by. If `nil`, the system's CAs, unless there is a
        /// ``pin``.
        public var authority: String?
        /// The host's name or address that the parent's certificate must have. If `nil`, the host that is dialled.
        public var serverName: String?
        /// The SHA-256 of the only public key that the parent may have (a SubjectPublicKeyInfo), 32 bytes. Without an
        /// ``authority`` it suffices; with one, both are checked.
        public var pin: [UInt8]?

        public init() {}

        static let pinLength = 32
    }
}

extension Configuration {
    /// Refuses TLS to parents that can't use it.
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
