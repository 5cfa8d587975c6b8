/// The server's side of greeting, authentication and request, without I/O (RFC 1928 sections 3 to 6, RFC 1929).
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
        /// Carry out the request. The handshake is over; what follows is payload.
        case open(SOCKSRequest)
        /// Send ``SOCKSResponse/failure(_:)``, and close when the client has had time to read it.
        case reject(Reply)
        /// Not SOCKS5: close without a word, which could mean something in another protocol.
        case abort
    }

    private enum State {
        case awaitingGreeting
        case awaitingCredentials
        case awaitingVerdict
        case awaitingRequest
        case over
    }

    private var state = State.awaitingGreeting
    private let method: Subnegotiation

    /// - Parameter method: the one that is selected, ``AuthenticationMethod/noAuthentication`` or
    ///   ``AuthenticationMethod/usernamePassword``.
    public init(requiring method: AuthenticationMethod) {
        guard let method = Subnegotiation(method) else {
            preconditionFailure("a method that isn't implemented")
        }
        self.method = method
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
            case .awaitingVerdict, .over:
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
        case .awaitingGreeting, .awaitingCredentials, .awaitingRequest, .over:
            preconditionFailure("a verdict nobody asked for")
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
        guard greeting.methods.contains(method.code) else {
            state = .over
            return .refuse(MethodSelection(method: .noAcceptable))
        }
        state = method.hasSubnegotiation ? .awaitingCredentials : .awaitingRequest
        return .select(MethodSelection(method: method.code))
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
        case (.awaitingRequest, .unknownCommand): return .reject(.commandNotSupported)
        case (.awaitingRequest, .unknownAddressType): return .reject(.addressTypeNotSupported)
        case (.awaitingRequest, .badDomainName): return .reject(.hostUnreachable)
        case (.awaitingRequest, .portZero): return .reject(.generalFailure)
        case (_, _): return .abort
        }
    }
}

/// What is negotiated between method selection and request. GSSAPI (RFC 1961) would join here.
enum Subnegotiation: Sendable {
    case noAuthentication
    case usernamePassword

    init?(_ method: AuthenticationMethod) {
        switch method {
        case .noAuthentication: self = .noAuthentication
        case .usernamePassword: self = .usernamePassword
        default: return nil
        }
    }

    var code: AuthenticationMethod {
        switch self {
        case .noAuthentication: .noAuthentication
        case .usernamePassword: .usernamePassword
        }
    }

    var hasSubnegotiation: Bool {
        switch self {
        case .noAuthentication: false
        case .usernamePassword: true
        }
    }
}
