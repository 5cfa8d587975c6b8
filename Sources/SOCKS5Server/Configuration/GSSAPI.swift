public import SOCKS5Protocol

extension Configuration.ListenerSettings {
    /// Logins by Kerberos (RFC 1961, method 01). Clients that offer this method use it; others log in by a password, if
    /// there are users.
    public struct GSSAPI: Hashable, Sendable {
        /// The file with the service's keys.
        public var keytab: String
        /// `socks/proxy.example.com`, or `socks` on any host. If `nil`, any key of the file.
        public var service: String?
        /// The allowed levels of protection after the login. A client that asks for less is refused; a client that asks
        /// for more gets the strongest allowed level, and may leave. With `none`, only the login is protected; curl
        /// supports nothing else.
        public var protection: Set<GSSAPIProtection> = [.integrity, .confidentiality]
        /// Whether users of the service's realm are known without the realm: `alice` rather than `alice@EXAMPLE.COM`.
        /// Users of other realms keep theirs.
        public var stripsRealm = false
        /// Whether a client may also send the level of protection unwrapped, as NEC's implementation of SOCKS does.
        public var acceptsPlainLevel = false

        public init(keytab: String) {
            self.keytab = keytab
        }
    }
}
