/// A protocol in which a client says what it wants.
public enum ProxyProtocol: String, CaseIterable, Sendable {
    case socks5
    /// And SOCKS4a. Without logins: where one is required, each request is refused.
    case socks4
    /// CONNECT alone (RFC 9110 section 9.3.6), with logins by Basic.
    case http
}
