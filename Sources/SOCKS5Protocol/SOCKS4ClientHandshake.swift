/// The client's side of SOCKS4 and SOCKS4a, without I/O.
///
/// Used like ``ClientHandshake``: send what ``request(_:userID:)`` returns, then bytes come in and one action comes
/// out. The machine keeps no bytes.
public struct SOCKS4ClientHandshake: Sendable {
    public enum Action: Hashable, Sendable {
        /// The reply isn't complete. Nothing was consumed.
        case receiveMore
        /// The server listens for a BIND at this address: continue with its second reply. 0.0.0.0 stands for the
        /// address by which the server was reached.
        case awaitPeer(Destination)
        /// The request is carried out. The bytes that follow are payload of the target.
        ///
        /// The peer's address after BIND; `nil` after CONNECT, since the address in its reply means nothing.
        case open(Destination?)
        /// Close. Bytes that follow mean nothing.
        case fail(Failure)
    }

    /// Why there is no connection.
    public enum Failure: Error, Hashable, Sendable {
        /// The server answers the request with this code, which isn't ``SOCKS4Response/Code/granted``.
        case refused(SOCKS4Response.Code)
        /// The server doesn't speak SOCKS4, or breaks its rules.
        case malformed(MalformedMessage)
    }

    private enum State {
        case owingRequest
        case awaitingReply(SOCKSCommand)
        case awaitingPeer
        case over
    }

    private var state = State.owingRequest

    public init() {}

    /// The client's only message, to be sent before anything is received.
    ///
    /// A name is sent as in SOCKS4a, but a name that spells an address is sent as that address.
    ///
    /// - Parameter userID: the client's name for itself.
    /// - Returns: `nil` if SOCKS4 can't express the request: a command other than CONNECT and BIND, an IPv6 address, or
    ///   a user ID with a zero or more than 255 bytes. The machine then still expects a request.
    public mutating func request(_ request: SOCKSRequest, userID: [UInt8]) -> [UInt8]? {
        switch state {
        case .owingRequest: break
        case .awaitingReply, .awaitingPeer, .over: preconditionFailure("a second request")
        }
        switch request.command {
        case .connect, .bind: break
        case .udpAssociate, .resolve: return nil
        }
        var destination = request.destination.undisguised
        if case .ipv6(let address) = destination.host {
            guard let inner = address.mappedIPv4 else { return nil }
            destination.host = .ipv4(inner)
        }
        guard userID.count <= SOCKS4Request.longestUserID, !userID.contains(0) else { return nil }
        state = .awaitingReply(request.command)
        return SOCKS4Request(command: request.command, destination: destination, userID: userID).encoded
    }

    /// Processes the next reply at the front of `bytes`.
    ///
    /// - Parameter bytes: all bytes that were received and not yet consumed.
    /// - Returns: the length of the reply in bytes, 0 if it isn't complete, and the action.
    public mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: Action) {
        do throws(MalformedMessage) {
            if let code = try refusal(in: bytes) { return (0, end(with: .fail(.refused(code)))) }
            guard let (reply, length) = try SOCKS4Response.decode(bytes) else { return (0, .receiveMore) }
            return (length, granted(Destination(host: .ipv4(reply.boundAddress), port: reply.port)))
        } catch {
            return (0, end(with: .fail(.malformed(error))))
        }
    }

    private mutating func granted(_ bound: Destination) -> Action {
        switch state {
        case .awaitingReply(.bind):
            state = .awaitingPeer
            return .awaitPeer(bound)
        case .awaitingReply: return end(with: .open(nil))
        case .awaitingPeer: return end(with: .open(bound))
        case .owingRequest, .over: preconditionFailure("bytes while none are awaited")
        }
    }

    /// A refusal is recognised by its code alone, as in SOCKS5: an address need not follow.
    private func refusal(in bytes: RawSpan) throws(MalformedMessage) -> SOCKS4Response.Code? {
        var cursor = ByteCursor()
        guard try cursor.readVersion(0, of: bytes) != nil, let code = cursor.readByte(of: bytes) else {
            return nil
        }
        guard let code = SOCKS4Response.Code(rawValue: code) else { throw .unknownReply(code) }
        return code == .granted ? nil : code
    }

    private mutating func end(with action: Action) -> Action {
        state = .over
        return action
    }
}
