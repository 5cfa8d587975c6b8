public import SOCKS5Protocol

extension Configuration.ListenerSettings {
    /// Logins by Kerberos (RFC 1961, method 01). A client that offers it logs in so, and others by a password, if there
    /// are users.
    public struct GSSAPI: Hashable, Sendable {
        /// The file with the keys of the service.
        public var keytab: String
        /// `socks/proxy.example.com`, or `socks` on any host. `nil`: any key of the file.
        public var service: String?
        /// How what follows may be protected. A client that asks for less is refused; one that asks for more gets the
        /// strongest of these, and may leave. With `none` the login alone is safe from others;
        /// curl can do no more.
        public var protection: Set<GSSAPIProtection> = [.integrity, .confidentiality]
        /// Whether users of the service's realm are known by their names alone: `alice` rather than `alice@EXAMPLE.COM`.
        /// Those of other realms keep theirs.
        public var stripsRealm = false
        /// Whether a client may also send the level of protection unprotected, as NEC's implementation of SOCKS does.
        public var acceptsPlainLevel = false

        public init(keytab: String) {
            self.keytab = keytab
        }
    }
}
