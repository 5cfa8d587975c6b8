/// An answer to HTTP CONNECT, or to an HTTP client that has come to the wrong place.
///
/// Fixed bytes, one form each: nothing of a request is ever repeated in its answer.
public enum HTTPResponse: Error, Hashable, Sendable, CaseIterable {
    /// What follows is the tunnel.
    case established
    /// The request isn't one that RFC 9112 has, or has a body.
    case malformed
    /// This is no HTTP proxy.
    case notHTTP
    case forbidden
    /// Another method than CONNECT.
    case otherMethod
    /// A login by Basic is required (RFC 7617).
    case loginRequired
    /// A request without an end.
    case tooLong
    /// The target can't be reached.
    case badGateway
    /// It doesn't answer.
    case gatewayTimeout

    /// The reply of SOCKS5 in HTTP's words.
    public init(_ reply: Reply) {
        self =
            switch reply {
            case .succeeded: .established
            case .notAllowed: .forbidden
            case .ttlExpired: .gatewayTimeout
            case .generalFailure, .networkUnreachable, .hostUnreachable, .connectionRefused,
                .commandNotSupported,
                .addressTypeNotSupported:
                .badGateway
            }
    }

    /// Behind all but ``established`` the connection is closed.
    public var encoded: [UInt8] {
        guard self != .established else { return Array("HTTP/1.1 200 Connection established\r\n\r\n".utf8) }
        let lines =
            ["HTTP/1.1 \(status)"] + fields + [
                "Connection: close", "Content-Type: text/plain", "Content-Length: \(text.utf8.count + 1)",
            ]
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + text + "\n").utf8)
    }

    private var status: String {
        switch self {
        case .established: "200 Connection established"
        case .malformed, .notHTTP: "400 Bad Request"
        case .forbidden: "403 Forbidden"
        case .otherMethod: "405 Method Not Allowed"
        case .loginRequired: "407 Proxy Authentication Required"
        case .tooLong: "431 Request Header Fields Too Large"
        case .badGateway: "502 Bad Gateway"
        case .gatewayTimeout: "504 Gateway Timeout"
        }
    }

    private var fields: [String] {
        switch self {
        case .otherMethod: ["Allow: CONNECT"]
        case .loginRequired: ["Proxy-Authenticate: Basic realm=\"proxy\", charset=\"UTF-8\""]
        case .established, .malformed, .notHTTP, .forbidden, .tooLong, .badGateway, .gatewayTimeout: []
        }
    }

    private var text: String {
        switch self {
        case .established: ""
        case .malformed: "This is not a request for a tunnel (CONNECT)."
        case .notHTTP: "This is a SOCKS proxy. It does not speak HTTP."
        case .forbidden: "The proxy does not allow this target."
        case .otherMethod: "This proxy supports only CONNECT."
        case .loginRequired: "The proxy asks for a user and a password."
        case .tooLong: "The request is too long."
        case .badGateway: "The target can't be reached."
        case .gatewayTimeout: "The target does not answer."
        }
    }
}
