import SOCKS5Protocol

/// The targets of fuzzing: each case checks properties that must hold for any bytes. libFuzzer searches for bytes that
/// violate them; the tests replay the ones found, and a corpus that reaches every branch.
public enum FuzzTarget: String, CaseIterable, Sendable {
    case greeting, credentials, request, datagramHeader
    case methodSelection, authenticationStatus, response
    case handshake, clientHandshake
    case socks4Request, socks4Response, socks4Handshake, socks4ClientHandshake
    case httpHandshake, httpClientHandshake
    case name
    case proxyHeader
    case gssapiMessage, gssapiHandshake

    /// - Throws: ``Violation``.
    public func check(_ input: [UInt8]) throws(Violation) {
        switch self {
        case .greeting: try Decoder<Greeting>.check(input)
        case .credentials: try Decoder<Credentials>.check(input)
        case .request: try Decoder<SOCKSRequest>.check(input)
        case .datagramHeader: try Decoder<DatagramHeader>.check(input)
        case .methodSelection: try Decoder<MethodSelection>.check(input)
        case .authenticationStatus: try Decoder<AuthenticationStatus>.check(input)
        case .response: try Decoder<SOCKSResponse>.check(input)
        case .handshake: try Conversation.check(input)
        case .clientHandshake: try ClientConversation.check(input)
        case .socks4Request: try Decoder<SOCKS4Request>.check(input)
        case .socks4Response: try Decoder<SOCKS4Response>.check(input)
        case .socks4Handshake: try SOCKS4Conversation.check(input)
        case .socks4ClientHandshake: try SOCKS4ClientConversation.check(input)
        case .httpHandshake: try HTTPConversation.check(input)
        case .httpClientHandshake: try HTTPClientConversation.check(input)
        case .name: try Naming.check(input)
        case .proxyHeader: try ProxyHeaders.check(input)
        case .gssapiMessage: try Decoder<GSSAPIMessage>.check(input)
        case .gssapiHandshake: try GSSAPIConversation.check(input)
        }
    }
}

/// A violated property.
public struct Violation: Error, CustomStringConvertible {
    public let description: String
}

func require(_ condition: Bool, _ what: @autoclosure () -> String) throws(Violation) {
    guard condition else { throw Violation(description: what()) }
}
