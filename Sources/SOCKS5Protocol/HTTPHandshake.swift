/// The server's side of HTTP CONNECT, without I/O (RFC 9110 sections 9.3.6 and 11.7, RFC 9112).
///
/// Used like ``ServerHandshake``: bytes come in, one action comes out. A request is read strictly and by a single
/// reader, so that no later reader can interpret its bytes differently. This is written here instead of using a parser
/// in C, since a request for a tunnel has no body and needs little of HTTP.
public struct HTTPHandshake: Sendable {
    public enum Action: Hashable, Sendable {
        /// The request isn't complete. Nothing was consumed.
        case receiveMore
        /// Ask the store, then call ``HTTPHandshake/authenticated(_:)``.
        case authenticate(Credentials)
        /// Carry out the request. The bytes that follow are payload.
        case open(SOCKSRequest)
        /// The login is wrong: send ``HTTPResponse/loginRequired`` and close.
        case refuseLogin
        /// Send the response and close.
        case refuse(HTTPResponse)
    }

    private enum State {
        /// - Parameter scanned: the number of bytes already searched for the end of the request.
        case awaitingRequest(needsLogin: Bool, scanned: UInt16)
        indirect case awaitingVerdict(SOCKSRequest)
        case over
    }

    private var state: State

    /// The longest request in bytes, including its empty line. The buffer of a session's handshake is larger.
    public static let longestRequest = 4000

    public init(needsLogin: Bool) {
        state = .awaitingRequest(needsLogin: needsLogin, scanned: 0)
    }

    /// Processes the request at the front of `bytes`.
    ///
    /// - Parameter bytes: all bytes that were received.
    /// - Returns: the length of the request in bytes, 0 if it isn't complete, and the action.
    public mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: Action) {
        guard case .awaitingRequest(let needsLogin, let scanned) = state else {
            preconditionFailure("bytes while none are awaited")
        }
        do throws(HTTPResponse) {
            guard let end = try bytes.endOfHead(scanned: Int(scanned)) else {
                // Fits, since requests beyond the limit are refused.
                state = .awaitingRequest(needsLogin: needsLogin, scanned: UInt16(bytes.byteCount))
                return (0, .receiveMore)
            }
            state = .over
            return (end, try judge(HTTPRequest(bytes.extracting(0..<end)), needsLogin))
        } catch {
            state = .over
            return (0, .refuse(error))
        }
    }

    private mutating func judge(_ request: HTTPRequest, _ needsLogin: Bool) -> Action {
        let wanted = SOCKSRequest(command: .connect, destination: request.destination)
        guard needsLogin else { return .open(wanted) }
        switch request.login {
        case .none:
            return .refuse(.loginRequired)
        case .malformed:
            return .refuseLogin
        case .basic(let credentials):
            state = .awaitingVerdict(wanted)
            return .authenticate(credentials)
        }
    }

    /// The verdict on the credentials of ``Action/authenticate(_:)``.
    public mutating func authenticated(_ accepted: Bool) -> Action {
        switch state {
        case .awaitingVerdict(let request):
            state = .over
            return accepted ? .open(request) : .refuseLogin
        case .awaitingRequest, .over:
            preconditionFailure("a verdict nobody asked for")
        }
    }
}

extension RawSpan {
    /// The end of the empty line after the request. `nil` if it isn't there yet.
    ///
    /// Each line must end with CRLF. Elsewhere CR, LF and other control characters are malformed.
    ///
    /// - Parameter scanned: the number of bytes already searched.
    fileprivate func endOfHead(scanned: Int) throws(HTTPResponse) -> Int? {
        for index in scanned..<max(scanned, min(byteCount, HTTPHandshake.longestRequest)) {
            let last = index > 0 ? self[index - 1] : 0
            switch self[index] {
            case UInt8(ascii: "\n"):
                guard last == UInt8(ascii: "\r") else { throw .malformed }
                if index >= 3, self[index - 2] == UInt8(ascii: "\n") { return index + 1 }
            case UInt8(ascii: "\r"), UInt8(ascii: "\t"), 0x20...0x7e, 0x80...0xff:
                guard last != UInt8(ascii: "\r") else { throw .malformed }
            default:
                throw .malformed
            }
        }
        guard byteCount < HTTPHandshake.longestRequest else { throw .tooLong }
        return nil
    }
}
