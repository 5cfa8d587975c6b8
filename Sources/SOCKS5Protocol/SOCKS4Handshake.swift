/// The server's side of SOCKS4 and SOCKS4a until the request, without I/O.
///
/// Used like ``ServerHandshake``: bytes come in, one action comes out. There is one message and no login, so a server
/// that requires a login refuses every request.
public struct SOCKS4Handshake: Sendable {
    public enum Action: Hashable, Sendable {
        /// The request isn't complete. Nothing was consumed.
        case receiveMore
        /// Carry out the request. The bytes that follow are payload.
        case open(SOCKSRequest)
        /// A login is required, but SOCKS4 has none: send 5B and close.
        case refuseWithoutLogin
        /// The user ID doesn't end within the limit: send 5B and close.
        case refuseUserID
        /// Send 5B and close. The reply is the reason for the log.
        case reject(Reply)
        /// Not SOCKS4: close without an answer.
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

    /// The client's name for itself, once there is a request. It isn't verified. `nil` if there is none.
    public var userID: [UInt8]? {
        switch state {
        case .awaitingRequest: nil
        case .over(let userID): userID.isEmpty ? nil : userID
        }
    }

    /// Processes the request at the front of `bytes`.
    ///
    /// - Parameter bytes: all bytes that were received.
    /// - Returns: the length of the request in bytes, 0 if it isn't complete, and the action.
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
