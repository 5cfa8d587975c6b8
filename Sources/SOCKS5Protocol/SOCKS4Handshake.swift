/// The server's side of SOCKS4 and SOCKS4a until the request, without I/O.
///
/// Used as ``ServerHandshake``: bytes come in, one action comes out. There is one message and no login, so that a server
/// that requires one refuses every request.
public struct SOCKS4Handshake: Sendable {
    public enum Action: Hashable, Sendable {
        /// The request isn't complete. Nothing was consumed.
        case receiveMore
        /// Carry out the request. What follows is payload.
        case open(SOCKSRequest)
        /// A login is required, and SOCKS4 has none: send 5B and close.
        case refuseWithoutLogin
        /// The user ID has no end: send 5B and close.
        case refuseUserID
        /// Send 5B and close. The reply says why, to the log.
        case reject(Reply)
        /// Not SOCKS4: close without a word.
        case abort
    }

    private enum State {
        case awaitingRequest(needsLogin: Bool)
        case over(userID: [UInt8])
    }

    private var state: State

    public init(needsLogin: Bool) {
        state = .awaitingRequest(needsLogin: needsLogin)
    }

    /// The name that the client has given itself, once there is a request. Nobody has checked it. `nil`: none.
    public var userID: [UInt8]? {
        switch state {
        case .awaitingRequest: nil
        case .over(let userID): userID.isEmpty ? nil : userID
        }
    }

    /// Deals with the request at the front of `bytes`.
    ///
    /// - Parameter bytes: all that was received.
    /// - Returns: how many bytes the request had, 0 unless it is complete, and what to do.
    public mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: Action) {
        switch state {
        case .awaitingRequest(let needsLogin):
            do throws(MalformedMessage) {
                guard let (request, length) = try SOCKS4Request.decode(bytes) else {
                    return (0, .receiveMore)
                }
                state = .over(userID: request.userID)
                if needsLogin { return (length, .refuseWithoutLogin) }
                return (
                    length, .open(SOCKSRequest(command: request.command, destination: request.destination))
                )
            } catch {
                state = .over(userID: [])
                return (0, Self.failure(error))
            }
        case .over:
            preconditionFailure("bytes while none are awaited")
        }
    }

    private static func failure(_ error: MalformedMessage) -> Action {
        switch error {
        case .unknownCommand: .reject(.commandNotSupported)
        case .badDomainName: .reject(.hostUnreachable)
        case .portZero: .reject(.generalFailure)
        case .longUserID: .refuseUserID
        case .badVersion, .unknownAddressType, .unknownReply, .badReserved, .unknownMessageType,
            .badTokenLength:
            .abort
        }
    }
}
