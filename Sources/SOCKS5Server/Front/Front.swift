internal import ProxyPolicy
internal import SOCKS5Protocol

/// The protocol that a client speaks until its request: messages come in, actions and the bytes of each answer come
/// out.
///
/// Pure. Keeps no bytes: bytes that aren't consumed are passed in again, followed by later ones.
enum Front {
    /// Nothing has come yet.
    case choosing(FrontChoice)
    case socks5(ServerHandshake)
    case socks4(SOCKS4Handshake)
    case http(HTTPHandshake)

    enum Action: Equatable {
        /// The next message isn't complete.
        case receiveMore
        /// Send it, and continue with the next message.
        case answer([UInt8])
        /// Ask the credential store, then call ``decided(_:)``.
        case verify(Credentials)
        /// Pass the token to the GSSAPI context, then call ``advanced(_:)``.
        case establish([UInt8])
        /// Have it read the level of protection that the client asks for, then call ``advanced(_:)``.
        case agree([UInt8])
        /// Send it. After that everything is protected as agreed.
        case protect([UInt8])
        /// Close: the client has given up its login.
        case leave
        /// Carry out the request. The bytes that follow are payload.
        case open(SOCKSRequest)
        /// Send it and close. The outcome is the reason why the client can't be served.
        case refuse([UInt8], SessionOutcome)
        /// The login is wrong: send it, possibly late, and close.
        case refuseLogin([UInt8])
        /// Answer the request with this reply, and close.
        case reject(Reply)
        /// Another protocol: close without sending anything, because it could mean something in that protocol.
        case abort
    }

    /// Processes the next message at the front of `bytes`.
    ///
    /// - Returns: the length of the message in bytes, 0 if it isn't complete, and the action.
    mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: Action) {
        switch self {
        case .choosing(let choice):
            switch choice.protocol(of: bytes) {
            case .unknownYet: return (0, .receiveMore)
            case .foreign: return (0, .abort)
            case .misledHTTP: return (0, .refuse(HTTPResponse.notHTTP.encoded, .notSOCKS5))
            case .known(.socks5):
                self = .socks5(ServerHandshake(requiring: choice.method, or: choice.alternative))
            case .known(.socks4): self = .socks4(SOCKS4Handshake(needsLogin: choice.needsLogin))
            case .known(.http): self = .http(HTTPHandshake(needsLogin: choice.needsLogin))
            }
            return receive(bytes)
        case .socks5(var handshake):
            let (consumed, action) = handshake.receive(bytes)
            self = .socks5(handshake)
            return (consumed, Action(action))
        case .socks4(var handshake):
            let (consumed, action) = handshake.receive(bytes)
            self = .socks4(handshake)
            return (consumed, Action(action))
        case .http(var handshake):
            let (consumed, action) = handshake.receive(bytes)
            self = .http(handshake)
            return (consumed, Action(action))
        }
    }

    /// The verdict on the credentials of ``Action/verify(_:)``.
    mutating func decided(isRight: Bool) -> Action {
        switch self {
        case .socks5(var handshake):
            let action = handshake.authenticated(isRight)
            self = .socks5(handshake)
            return Action(action)
        case .http(var handshake):
            let action = handshake.authenticated(isRight)
            self = .http(handshake)
            return Action(action)
        case .choosing, .socks4:
            preconditionFailure("a verdict on no login")
        }
    }

    /// The answer of the context of ``Action/establish(_:)`` or ``Action/agree(_:)``.
    mutating func advanced(_ step: ServerHandshake.ContextStep) -> Action {
        switch self {
        case .socks5(var handshake):
            let action = handshake.advanced(step)
            self = .socks5(handshake)
            return Action(action)
        case .choosing, .socks4, .http:
            preconditionFailure("a step of no context")
        }
    }

    /// `nil` if nothing has come that identifies it.
    var `protocol`: ProxyProtocol? {
        switch self {
        case .choosing: nil
        case .socks5: .socks5
        case .socks4: .socks4
        case .http: .http
        }
    }

    /// The client's name for itself without a login.
    var claimedUser: [UInt8]? {
        switch self {
        case .choosing, .socks5, .http: nil
        case .socks4(let handshake): handshake.userID
        }
    }

    /// Whether the client is logging in by GSSAPI.
    var isEstablishingContext: Bool {
        switch self {
        case .socks5(let handshake): handshake.isEstablishing
        case .choosing, .socks4, .http: false
        }
    }

    /// The refusal of a login that wasn't decided.
    var loginRefusal: [UInt8] {
        switch self {
        case .socks5(let handshake) where handshake.isEstablishing: GSSAPIMessage.abort.encoded
        case .choosing, .socks5: AuthenticationStatus(succeeded: false).encoded
        case .socks4: SOCKS4Response(code: .rejected).encoded
        case .http: HTTPResponse.loginRequired.encoded
        }
    }

    /// The answer to a request.
    func response(_ reply: Reply, boundTo bound: Destination = .unspecified) -> [UInt8] {
        switch self {
        case .choosing, .socks5: SOCKSResponse(reply: reply, boundAddress: bound).encoded
        case .socks4: SOCKS4Response(reply, boundTo: bound).encoded
        case .http: HTTPResponse(reply).encoded
        }
    }
}

extension Front.Action {
    fileprivate init(_ action: ServerHandshake.Action) {
        self =
            switch action {
            case .receiveMore: .receiveMore
            case .select(let selection): .answer(selection.encoded)
            case .refuse(let selection): .refuse(selection.encoded, .noAcceptableMethod)
            case .authenticate(let credentials): .verify(credentials)
            case .acknowledge(let status): .answer(status.encoded)
            case .refuseLogin(let status): .refuseLogin(status.encoded)
            case .establish(let token): .establish(token)
            case .agree(let token): .agree(token)
            case .send(let message): .answer(message.encoded)
            case .protect(let message): .protect(message.encoded)
            case .refuseContext(let message): .refuseLogin(message.encoded)
            case .clientAborted: .leave
            case .open(let request): .open(request)
            case .reject(let reply): .reject(reply)
            case .abort: .abort
            }
    }

    fileprivate init(_ action: SOCKS4Handshake.Action) {
        let rejected = SOCKS4Response(code: .rejected).encoded
        self =
            switch action {
            case .receiveMore: .receiveMore
            case .open(let request): .open(request)
            case .refuseWithoutLogin: .refuse(rejected, .noAcceptableMethod)
            case .refuseUserID: .refuse(rejected, .badRequest)
            case .reject(let reply): .reject(reply)
            case .abort: .abort
            }
    }
    fileprivate init(_ action: HTTPHandshake.Action) {
        self =
            switch action {
            case .receiveMore: .receiveMore
            case .authenticate(let credentials): .verify(credentials)
            case .open(let request): .open(request)
            case .refuseLogin: .refuseLogin(HTTPResponse.loginRequired.encoded)
            case .refuse(let response): .refuse(response.encoded, Self.outcome(of: response))
            }
    }

    private static func outcome(of response: HTTPResponse) -> SessionOutcome {
        switch response {
        case .loginRequired: .noAcceptableMethod
        case .otherMethod: .refused(.commandNotSupported)
        case .established, .malformed, .notHTTP, .forbidden, .tooLong, .badGateway, .gatewayTimeout:
            .badRequest
        }
    }
}
