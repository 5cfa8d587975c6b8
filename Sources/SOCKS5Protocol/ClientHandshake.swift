/// The client's side of greeting, authentication and request, without I/O (RFC 1928 sections 3 to 6, RFC 1929).
///
/// Send ``greeting`` first. Then bytes come in and one action comes out. The caller performs it, drops the bytes that
/// were consumed, and calls again with the rest. The machine keeps no bytes and no secret. Any bytes of a server lead
/// to an action; a call out of turn is the caller's bug, and traps.
public struct ClientHandshake: Sendable {
    public enum Action: Hashable, Sendable {
        /// The next message isn't complete. Nothing was consumed.
        case receiveMore
        /// The server requires a login: send what ``ClientHandshake/logIn(_:)`` returns.
        case authenticate
        /// The server waits for the request: send what ``ClientHandshake/request(_:)`` returns.
        case request
        /// The server listens for a BIND at this address: continue with its second response (RFC 1928 section 6).
        case awaitPeer(Destination)
        /// The request is carried out. The bytes that follow are payload of the target; after UDP ASSOCIATE there are
        /// none.
        ///
        /// The bound address: of the connection to the target, of the peer of a BIND, or the address to send datagrams
        /// to.
        case open(Destination)
        /// Close. Bytes that follow mean nothing.
        case fail(Failure)
    }

    /// Why there is no connection.
    public enum Failure: Error, Hashable, Sendable {
        /// The server accepts none of the offered methods (`05 FF`).
        case noAcceptableMethod
        /// The server selects a method that wasn't offered.
        case unofferedMethod(AuthenticationMethod)
        /// Wrong user or password.
        case loginRefused
        /// The server answers the request with this code, which isn't ``Reply/succeeded``.
        case refused(Reply)
        /// The server answers the request with a code above 08.
        case unknownReply(UInt8)
        /// The server doesn't speak SOCKS5, or breaks its rules.
        case malformed(MalformedMessage)
    }

    private enum State {
        case awaitingSelection
        case owingCredentials
        case awaitingStatus
        case owingRequest
        case awaitingResponse(SOCKSCommand)
        case awaitingPeer
        case over
    }

    private var state = State.awaitingSelection
    private let methods: [AuthenticationMethod]

    /// - Parameter methods: at least one of ``AuthenticationMethod/noAuthentication`` and
    ///   ``AuthenticationMethod/usernamePassword``, in the order in which they are offered.
    public init(offering methods: [AuthenticationMethod]) {
        guard (1...255).contains(methods.count),
            methods.allSatisfy({ [.noAuthentication, .usernamePassword].contains($0) })
        else {
            preconditionFailure("no method, or one that isn't implemented")
        }
        self.methods = methods
    }

    /// The first message, to be sent before anything is received.
    public var greeting: Greeting { Greeting(methods: methods) }

    /// Processes the next message at the front of `bytes`.
    ///
    /// - Parameter bytes: all bytes that were received and not yet consumed.
    /// - Returns: the length of the message in bytes, 0 if it isn't complete, and the action.
    public mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: Action) {
        do throws(MalformedMessage) {
            switch state {
            case .awaitingSelection:
                return try complete(MethodSelection.decode(bytes)) { $0.choose($1.method) }
            case .awaitingStatus:
                return try complete(AuthenticationStatus.decode(bytes)) { $0.judge($1.succeeded) }
            case .awaitingResponse(let command):
                if let refusal = try refusal(in: bytes) { return (0, refusal) }
                return try complete(SOCKSResponse.decode(bytes)) { $0.open($1.boundAddress, command) }
            case .awaitingPeer:
                if let refusal = try refusal(in: bytes) { return (0, refusal) }
                return try complete(SOCKSResponse.decode(bytes)) { $0.end(with: .open($1.boundAddress)) }
            case .owingCredentials, .owingRequest, .over:
                preconditionFailure("bytes while none are awaited")
            }
        } catch {
            return (0, end(with: .fail(Failure(error))))
        }
    }

    /// The login to send after ``Action/authenticate``.
    public mutating func logIn(_ credentials: Credentials) -> [UInt8] {
        switch state {
        case .owingCredentials:
            state = .awaitingStatus
            return credentials.encoded
        case .awaitingSelection, .awaitingStatus, .owingRequest, .awaitingResponse, .awaitingPeer, .over:
            preconditionFailure("a login that the server doesn't ask for")
        }
    }

    /// The request to send after ``Action/request``.
    public mutating func request(_ request: SOCKSRequest) -> [UInt8] {
        switch state {
        case .owingRequest:
            state = .awaitingResponse(request.command)
            return request.encoded
        case .awaitingSelection, .owingCredentials, .awaitingStatus, .awaitingResponse, .awaitingPeer, .over:
            preconditionFailure("a request that the server doesn't await")
        }
    }

    private mutating func complete<Complete: SOCKSMessage>(
        _ decoded: (message: Complete, length: Int)?,
        _ act: (inout ClientHandshake, Complete) -> Action
    ) -> (consumed: Int, action: Action) {
        guard let decoded else { return (0, .receiveMore) }
        return (decoded.length, act(&self, decoded.message))
    }

    private mutating func choose(_ method: AuthenticationMethod) -> Action {
        if method == .noAcceptable { return end(with: .fail(.noAcceptableMethod)) }
        guard methods.contains(method), let known = Subnegotiation(method) else {
            return end(with: .fail(.unofferedMethod(method)))
        }
        switch known {
        case .noAuthentication:
            state = .owingRequest
            return .request
        case .usernamePassword:
            state = .owingCredentials
            return .authenticate
        case .gssapi:
            return end(with: .fail(.unofferedMethod(method)))
        }
    }

    private mutating func judge(_ succeeded: Bool) -> Action {
        guard succeeded else { return end(with: .fail(.loginRefused)) }
        state = .owingRequest
        return .request
    }

    private mutating func open(_ boundAddress: Destination, _ command: SOCKSCommand) -> Action {
        switch command {
        case .connect, .udpAssociate, .resolve:
            return end(with: .open(boundAddress))
        case .bind:
            state = .awaitingPeer
            return .awaitPeer(boundAddress)
        }
    }

    /// A refusal is recognised by its code alone: some servers send no valid address after it, or none at all.
    private mutating func refusal(in bytes: RawSpan) throws(MalformedMessage) -> Action? {
        var cursor = ByteCursor()
        guard try cursor.readVersion(socksVersion, of: bytes) != nil, let code = cursor.readByte(of: bytes)
        else {
            return nil
        }
        guard let reply = Reply(rawValue: code) else { throw .unknownReply(code) }
        return reply == .succeeded ? nil : end(with: .fail(.refused(reply)))
    }

    private mutating func end(with action: Action) -> Action {
        state = .over
        return action
    }
}

extension ClientHandshake.Failure {
    fileprivate init(_ error: MalformedMessage) {
        if case .unknownReply(let code) = error {
            self = .unknownReply(code)
        } else {
            self = .malformed(error)
        }
    }
}
