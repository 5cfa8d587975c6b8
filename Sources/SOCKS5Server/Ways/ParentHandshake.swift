internal import SOCKS5Protocol

/// The protocol of a parent.
enum ParentKind: Hashable, Sendable { case socks5, socks4, http }

/// The requests to one parent, in its own protocol, without I/O.
///
/// Send what ``begin()`` returns, then call ``receive(_:)`` until it opens or fails. The first call has no bytes, since
/// it fails at once if the protocol can't express the request. It keeps no bytes, and keeps the credentials only until
/// they are sent.
struct ParentHandshake {
    enum Action: Equatable {
        /// The answer isn't complete.
        case receiveMore
        case send([UInt8])
        /// The parent listens for a BIND at this address. 0.0.0.0 and :: stand for the address by which it was reached.
        case awaitPeer(Destination)
        /// The request is carried out. The bytes that follow are the target's.
        ///
        /// The bound address; `nil` if the parent reports none.
        case open(Destination?)
        case fail(ParentFailure)
    }

    private enum Machine {
        case socks5(ClientHandshake)
        case socks4(SOCKS4ClientHandshake)
        case http(HTTPClientHandshake)
        case unsupported
    }

    private var machine: Machine
    private var credentials: Credentials?
    private let request: SOCKSRequest
    private let isPipelined: Bool
    /// Whether the request was sent, and the parent has shown everything that it shows before it carries the request
    /// out. From then on the waiting time counts for the target.
    private(set) var hasAsked = false

    /// - Parameters:
    ///   - credentials: offered to the parent. With SOCKS4 only the user is sent.
    ///   - isPipelined: whether a SOCKS5 parent gets the request together with the greeting. Ignored with credentials.
    init(_ kind: ParentKind, _ credentials: Credentials?, _ request: SOCKSRequest, isPipelined: Bool) {
        self.credentials = credentials
        self.request = request
        self.isPipelined = isPipelined && credentials == nil
        switch kind {
        case .socks5:
            let canBeSent = credentials.map { $0.username.count <= 255 && $0.password.count <= 255 } ?? true
            let methods: [AuthenticationMethod] =
                credentials == nil ? [.noAuthentication] : [.usernamePassword, .noAuthentication]
            machine = canBeSent ? .socks5(ClientHandshake(offering: methods)) : .unsupported
        case .socks4: machine = .socks4(SOCKS4ClientHandshake())
        case .http: machine = .http(HTTPClientHandshake())
        }
    }

    /// Sent before anything is received. Empty if the protocol can't express the request.
    mutating func begin() -> [UInt8] {
        switch machine {
        case .socks5(let handshake):
            return handshake.greeting.encoded + (isPipelined ? request.encoded : [])
        case .socks4(var handshake):
            let bytes = handshake.request(request, userID: credentials?.username ?? [])
            return ask(bytes, .socks4(handshake))
        case .http(var handshake):
            let bytes = handshake.request(request, credentials)
            return ask(bytes, .http(handshake))
        case .unsupported:
            return ask(nil, .unsupported)
        }
    }

    private mutating func ask(_ bytes: [UInt8]?, _ machine: Machine) -> [UInt8] {
        credentials = nil
        hasAsked = bytes != nil
        self.machine = bytes == nil ? .unsupported : machine
        return bytes ?? []
    }

    /// Processes the answer at the front of `bytes`.
    ///
    /// - Parameter bytes: all bytes that were received and not yet consumed.
    /// - Returns: how many bytes to drop, and the action that follows.
    mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: Action) {
        switch machine {
        case .socks5(let handshake):
            return receive(bytes, handshake)
        case .socks4(var handshake):
            let (consumed, action) = handshake.receive(bytes)
            machine = .socks4(handshake)
            return (consumed, Action(action))
        case .http(var handshake):
            let (consumed, action) = handshake.receive(bytes)
            machine = .http(handshake)
            return (consumed, Action(action))
        case .unsupported:
            return (0, .fail(.unsupported))
        }
    }

    private mutating func receive(
        _ bytes: RawSpan,
        _ socks5: ClientHandshake
    ) -> (consumed: Int, action: Action) {
        var handshake = socks5
        let (consumed, step) = handshake.receive(bytes)
        var action: Action?
        switch step {
        case .receiveMore: action = .receiveMore
        case .authenticate:
            guard let credentials else { preconditionFailure("a login that was not offered") }
            action = .send(handshake.logIn(credentials))
            self.credentials = nil
        case .request:
            credentials = nil
            hasAsked = true
            let request = handshake.request(request)
            action = isPipelined ? nil : .send(request)
        case .awaitPeer(let bound): action = .awaitPeer(bound)
        case .open(let bound): action = .open(reported(bound))
        case .fail(let failure): action = .fail(ParentFailure(failure))
        }
        machine = .socks5(handshake)
        if let action { return (consumed, action) }
        let rest = receive(bytes.extracting(consumed...), handshake)
        return (consumed + rest.consumed, rest.action)
    }

    /// A name says nothing about the connection to a target, and some clients expect an address in any case.
    private func reported(_ bound: Destination) -> Destination? {
        if request.command == .connect, case .name = bound.host { return nil }
        return bound
    }
}

extension ParentHandshake.Action {
    fileprivate init(_ action: SOCKS4ClientHandshake.Action) {
        self =
            switch action {
            case .receiveMore: .receiveMore
            case .awaitPeer(let bound): .awaitPeer(bound)
            case .open(let bound): .open(bound)
            case .fail(let failure): .fail(ParentFailure(failure))
            }
    }

    fileprivate init(_ action: HTTPClientHandshake.Action) {
        self =
            switch action {
            case .receiveMore: .receiveMore
            case .open: .open(nil)
            case .fail(let failure): .fail(ParentFailure(failure))
            }
    }
}
