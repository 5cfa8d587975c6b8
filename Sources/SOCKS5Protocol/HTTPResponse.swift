/// A response to HTTP CONNECT, or to an HTTP client that connected to the wrong port.
///
/// Each response is constant: no bytes of a request are ever repeated in it.
public enum HTTPResponse: Error, Hashable, Sendable, CaseIterable {
    /// The tunnel follows.
    case established
    /// The request violates RFC 9112, or has a body.
    case malformed
    /// The server isn't an HTTP proxy.
    case notHTTP
    case forbidden
    /// The method isn't CONNECT.
    case otherMethod
    /// A login by Basic is required (RFC 7617).
    case loginRequired
    /// The request doesn't end within the limit.
    case tooLong
    /// The target can't be reached.
    case badGateway
    /// The target doesn't answer.
    case gatewayTimeout

    /// The HTTP equivalent of a SOCKS5 reply.
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

    /// After every response except ``established`` the connection is closed.
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
