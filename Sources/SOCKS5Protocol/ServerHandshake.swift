/// The server's side of greeting, authentication and request, without I/O (RFC 1928 sections 3 to 6, RFC 1929, RFC 1961
/// sections 3 and 4).
///
/// Bytes come in, one action comes out; the caller performs it, drops the bytes that were consumed, and calls
/// again with the rest. The machine keeps no bytes of its own. Whatever a peer sends leads to an action;
/// calling out of turn is the caller's bug, and traps.
public struct ServerHandshake: Sendable {
    public enum Action: Hashable, Sendable {
        /// The next message isn't complete. Nothing was consumed.
        case receiveMore
        /// Send it and go on.
        case select(MethodSelection)
        /// No method in common: send it and close. Nothing else follows.
        case refuse(MethodSelection)
        /// Ask the store, then call ``ServerHandshake/authenticated(_:)``.
        case authenticate(Credentials)
        /// The login is good: send it and go on.
        case acknowledge(AuthenticationStatus)
        /// The login is bad: send it and close.
        case refuseLogin(AuthenticationStatus)
        /// Let the GSSAPI context take this token, then call ``ServerHandshake/advanced(_:)``.
        case establish(token: [UInt8])
        /// Let the context read the protection level that the client asks for, then call
        /// ``ServerHandshake/advanced(_:)``.
        case agree(token: [UInt8])
        /// A token of the context: send it and go on.
        case send(GSSAPIMessage)
        /// Send it. All that follows in both directions is protected as was agreed.
        case protect(GSSAPIMessage)
        /// The context can't be established, or the level isn't granted: send it and close.
        case refuseContext(GSSAPIMessage)
        /// The client has given up its context: close.
        case clientAborted
        /// Carry out the request. The handshake is over; what follows is payload.
        case open(SOCKSRequest)
        /// Send ``SOCKSResponse/failure(_:)``, and close when the client has had time to read it.
        case reject(Reply)
        /// Not SOCKS5: close without a word, which could mean something in another protocol.
        case abort
    }

    /// What a step of a GSSAPI login has come to.
    public enum ContextStep: Hashable, Sendable {
        /// The client owes another token behind this one.
        case unfinished([UInt8])
        /// The context is there. Empty: the client needs nothing more from us to have it too.
        case established([UInt8])
        /// The protection level is granted, which this tells the client.
        case agreed([UInt8])
        case refused
    }

    private enum State {
        case awaitingGreeting
        case awaitingCredentials
        case awaitingVerdict
        /// - Parameter tokens: so many have come.
        case awaitingToken(tokens: UInt8)
        case establishing(tokens: UInt8)
        case awaitingLevel
        case agreeing
        case awaitingRequest
        case over
    }

    private var state = State.awaitingGreeting
    private let method: Subnegotiation
    /// Instead of it, where the client doesn't offer it. `nil`: none.
    private let alternative: Subnegotiation?

    /// A token of a Kerberos login has the client's groups in it, and up to 48 KB by Windows' default (MaxTokenSize). So
    /// much fits, with its header, into 64 KiB, as large as a ring becomes for a handshake.
    public static let longestToken = (64 << 10) - GSSAPIHeader.length
    /// One byte, wrapped: mechanisms add some 60. The smallest ring has room for it.
    public static let longestLevelToken = (4 << 10) - GSSAPIHeader.length
    /// Kerberos takes one or two, and a negotiation about mechanisms two more.
    static let mostTokens: UInt8 = 8

    /// - Parameters:
    ///   - method: the one that is selected, ``AuthenticationMethod/noAuthentication``,
    ///     ``AuthenticationMethod/usernamePassword`` or ``AuthenticationMethod/gssapi``.
    ///   - alternative: is selected where the client doesn't offer `method`.
    public init(requiring method: AuthenticationMethod, or alternative: AuthenticationMethod? = nil) {
        guard let method = Subnegotiation(method) else {
            preconditionFailure("a method that isn't implemented")
        }
        self.method = method
        self.alternative = alternative.flatMap { Subnegotiation($0) }
    }

    /// Deals with the next message at the front of `bytes`.
    ///
    /// - Parameter bytes: all that was received and not consumed.
    /// - Returns: how many bytes the message had, 0 unless it is complete, and what to do.
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

    /// What the context says to the token of ``Action/establish(token:)`` or ``Action/agree(token:)``.
    ///
    /// - Returns: ``Action/receiveMore`` where there is nothing to send.
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

    /// Refuses what is out of turn or too long at its header, before it takes up memory.
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

/// What is negotiated between method selection and request.
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
