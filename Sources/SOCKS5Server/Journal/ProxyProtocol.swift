/// A protocol that clients can speak.
public enum ProxyProtocol: String, CaseIterable, Sendable {
    case socks5
    /// SOCKS4 and SOCKS4a. They have no logins: if one is required, each request is refused.
    case socks4
    /// Only CONNECT (RFC 9110 section 9.3.6), with logins by Basic.
    case http
}
