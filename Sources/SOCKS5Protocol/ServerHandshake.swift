/// The server's side of greeting, authentication and request, without I/O (RFC 1928 sections 3 to 6, RFC 1929, RFC 1961
/// sections 3 and 4).
///
/// Bytes come in, one action comes out. The caller performs it, drops the bytes that were consumed, and calls again
/// with the rest. The machine keeps no bytes of its own. Any bytes of a peer lead to an action; a call out of turn is
/// the caller's bug, and traps.
public struct ServerHandshake: Sendable {
    public enum Action: Hashable, Sendable {
        /// The next message isn't complete. Nothing was consumed.
        case receiveMore
        /// Send it and continue.
        case select(MethodSelection)
        /// No method in common: send it and close. Nothing else follows.
        case refuse(MethodSelection)
        /// Ask the store, then call ``ServerHandshake/authenticated(_:)``.
        case authenticate(Credentials)
        /// The login is correct: send it and continue.
        case acknowledge(AuthenticationStatus)
        /// The login is wrong: send it and close.
        case refuseLogin(AuthenticationStatus)
        /// Pass this token to the GSSAPI context, then call ``ServerHandshake/advanced(_:)``.
        case establish(token: [UInt8])
        /// Have the context read the level of protection that the client asks for, then call
        /// ``ServerHandshake/advanced(_:)``.
        case agree(token: [UInt8])
        /// A token of the context: send it and continue.
        case send(GSSAPIMessage)
        /// Send it. After that everything in both directions is protected as agreed.
        case protect(GSSAPIMessage)
        /// The context can't be established, or the level isn't granted: send it and close.
        case refuseContext(GSSAPIMessage)
        /// The client has given up its context: close.
        case clientAborted
        /// Carry out the request. The handshake is over; the bytes that follow are payload.
        case open(SOCKSRequest)
        /// Send ``SOCKSResponse/failure(_:)``, and close after the client has had time to read it.
        case reject(Reply)
        /// Not SOCKS5: close without sending anything, because it could mean something in another protocol.
        case abort
    }

    /// The result of a step of a GSSAPI login.
    public enum ContextStep: Hashable, Sendable {
        /// The client owes another token after this one.
        case unfinished([UInt8])
        /// The context is established. If empty, the client needs nothing more from the server to establish it too.
        case established([UInt8])
        /// The level of protection is granted; this token tells the client.
        case agreed([UInt8])
        case refused
    }

    private enum State {
        case awaitingGreeting
        case awaitingCredentials
        case awaitingVerdict
        /// - Parameter tokens: the number of tokens that have come.
        case awaitingToken(tokens: UInt8)
        case establishing(tokens: UInt8)
        case awaitingLevel
        case agreeing
        case awaitingRequest
        case over
    }

    private var state = State.awaitingGreeting
    private let method: Subnegotiation
    /// The method to use instead if the client doesn't offer the first one. `nil` if there is none.
    private let alternative: Subnegotiation?

    /// A token of a Kerberos login contains the client's groups, and may have up to 48 KB by Windows' default
    /// (MaxTokenSize). This limit plus a header is 64 KiB, the largest size of a ring during a handshake.
    public static let longestToken = (64 << 10) - GSSAPIHeader.length
    /// One byte, wrapped: mechanisms add about 60 bytes. The smallest ring has room for the limit.
    public static let longestLevelToken = (4 << 10) - GSSAPIHeader.length
    /// Kerberos needs one or two, and negotiating the mechanism two more.
    static let mostTokens: UInt8 = 8

    /// - Parameters:
    ///   - method: the method that is selected, ``AuthenticationMethod/noAuthentication``,
    ///     ``AuthenticationMethod/usernamePassword`` or ``AuthenticationMethod/gssapi``.
    ///   - alternative: selected if the client doesn't offer `method`.
    public init(requiring method: AuthenticationMethod, or alternative: AuthenticationMethod? = nil) {
        guard let method = Subnegotiation(method) else {
            preconditionFailure("a method that isn't implemented")
        }
        self.method = method
        self.alternative = alternative.flatMap { Subnegotiation($0) }
    }

    /// Processes the next message at the front of `bytes`.
    ///
    /// - Parameter bytes: all bytes that were received and not yet consumed.
    /// - Returns: the length of the message in bytes, 0 if it isn't complete, and the action.
    public mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: Action) {
        do throws(MalformedMessage) {
            switch state {
            case .awaitingGreeting:
                return try complete(Greeting.decode(bytes)) { $0.choose($1) }
            case .awaitingCredentials:
                return try complete(Credentials.decode(bytes)) { $0.verify($1) }
            case .awaitingRequest:
                return try complete(SOCKSRequest.decode(bytes)) { $0.open($1) }
            case .awaitingToken(let tokens):
                try checkHeader(of: bytes, .authentication, atMost: Self.longestToken)
                return try complete(GSSAPIMessage.decode(bytes)) { $0.take($1, behind: tokens) }
            case .awaitingLevel:
                try checkHeader(of: bytes, .protectionLevel, atMost: Self.longestLevelToken)
                return try complete(GSSAPIMessage.decode(bytes)) { $0.take($1, behind: 0) }
            case .awaitingVerdict, .establishing, .agreeing, .over:
                preconditionFailure("bytes while none are awaited")
            }
        } catch {
            return (0, fail(error))
        }
    }

    /// The verdict on the credentials of ``Action/authenticate(_:)``: an acknowledgement or a refusal.
    public mutating func authenticated(_ accepted: Bool) -> Action {
        switch state {
        case .awaitingVerdict:
            state = accepted ? .awaitingRequest : .over
            let status = AuthenticationStatus(succeeded: accepted)
            return accepted ? .acknowledge(status) : .refuseLogin(status)
        case .awaitingGreeting, .awaitingCredentials, .awaitingToken, .establishing, .awaitingLevel,
            .agreeing,
            .awaitingRequest, .over:
            preconditionFailure("a verdict nobody asked for")
        }
    }

    /// The context's answer to the token of ``Action/establish(token:)`` or ``Action/agree(token:)``.
    ///
    /// - Returns: ``Action/receiveMore`` if there is nothing to send.
    public mutating func advanced(_ step: ContextStep) -> Action {
        switch (state, step) {
        case (.establishing(let tokens), .unfinished(let token)) where tokens < Self.mostTokens:
            state = .awaitingToken(tokens: tokens)
            return .send(.authentication(token))
        case (.establishing, .established(let token)):
            state = .awaitingLevel
            return token.isEmpty ? .receiveMore : .send(.authentication(token))
        case (.agreeing, .agreed(let token)):
            state = .awaitingRequest
            return .protect(.protectionLevel(token))
        case (.establishing, .unfinished), (.establishing, .refused), (.agreeing, .refused):
            state = .over
            return .refuseContext(.abort)
        case (_, _):
            preconditionFailure("a step of a context that nobody asked for")
        }
    }

    /// Whether the client is logging in by GSSAPI.
    public var isEstablishing: Bool {
        switch state {
        case .awaitingToken, .establishing, .awaitingLevel, .agreeing: true
        case .awaitingGreeting, .awaitingCredentials, .awaitingVerdict, .awaitingRequest, .over: false
        }
    }

    private mutating func complete<Complete: SOCKSMessage>(
        _ decoded: (message: Complete, length: Int)?,
        _ act: (inout ServerHandshake, Complete) -> Action
    ) -> (consumed: Int, action: Action) {
        guard let decoded else { return (0, .receiveMore) }
        return (decoded.length, act(&self, decoded.message))
    }

    private mutating func choose(_ greeting: Greeting) -> Action {
        guard let chosen = choice(of: greeting.methods) else {
            state = .over
            return .refuse(MethodSelection(method: .noAcceptable))
        }
        switch chosen {
        case .noAuthentication: state = .awaitingRequest
        case .usernamePassword: state = .awaitingCredentials
        case .gssapi: state = .awaitingToken(tokens: 0)
        }
        return .select(MethodSelection(method: chosen.code))
    }

    private func choice(of offered: [AuthenticationMethod]) -> Subnegotiation? {
        if offered.contains(method.code) { return method }
        guard let alternative, offered.contains(alternative.code) else { return nil }
        return alternative
    }

    /// Refuses a message that is out of turn or too long as soon as its header is there, before it takes up memory.
    private func checkHeader(
        of bytes: RawSpan,
        _ expected: GSSAPIHeader.Kind,
        atMost limit: Int
    ) throws(MalformedMessage) {
        guard let header = try GSSAPIHeader.decode(bytes)?.message, header.kind != .abort else { return }
        guard header.kind == expected else { throw .unknownMessageType(header.kind.rawValue) }
        guard header.tokenLength <= limit else { throw .badTokenLength }
    }

    private mutating func take(_ message: GSSAPIMessage, behind tokens: UInt8) -> Action {
        switch message {
        case .authentication(let token):
            state = .establishing(tokens: tokens + 1)
            return .establish(token: token)
        case .protectionLevel(let token):
            state = .agreeing
            return .agree(token: token)
        case .abort, .encapsulated:
            state = .over
            return .clientAborted
        }
    }

    private mutating func verify(_ credentials: Credentials) -> Action {
        state = .awaitingVerdict
        return .authenticate(credentials)
    }

    private mutating func open(_ request: SOCKSRequest) -> Action {
        state = .over
        return .open(request)
    }

    private mutating func fail(_ error: MalformedMessage) -> Action {
        let failed = state
        state = .over
        switch (failed, error) {
        case (.awaitingCredentials, _): return .refuseLogin(AuthenticationStatus(succeeded: false))
        case (.awaitingToken, _), (.awaitingLevel, _): return .refuseContext(.abort)
        case (.awaitingRequest, .unknownCommand): return .reject(.commandNotSupported)
        case (.awaitingRequest, .unknownAddressType): return .reject(.addressTypeNotSupported)
        case (.awaitingRequest, .badDomainName): return .reject(.hostUnreachable)
        case (.awaitingRequest, .portZero): return .reject(.generalFailure)
        case (_, _): return .abort
        }
    }
}

/// The negotiation between method selection and request.
enum Subnegotiation: Sendable {
    case noAuthentication
    case usernamePassword
    case gssapi

    init?(_ method: AuthenticationMethod) {
        switch method {
        case .noAuthentication: self = .noAuthentication
        case .usernamePassword: self = .usernamePassword
        case .gssapi: self = .gssapi
        default: return nil
        }
    }

    var code: AuthenticationMethod {
        switch self {
        case .noAuthentication: .noAuthentication
        case .usernamePassword: .usernamePassword
        case .gssapi: .gssapi
        }
    }
}
