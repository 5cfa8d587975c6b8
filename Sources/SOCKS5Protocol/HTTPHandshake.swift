/// The server's side of HTTP CONNECT, without I/O (RFC 9110 sections 9.3.6 and 11.7, RFC 9112).
///
/// Used as ``ServerHandshake``: bytes come in, one action comes out. A request is read strictly, by one reader, so that
/// nobody behind it can take its bytes for anything else. Written here rather than left to a parser of C, since a request
/// for a tunnel has no body, and so little of HTTP is needed.
public struct HTTPHandshake: Sendable {
    public enum Action: Hashable, Sendable {
        /// The request isn't complete. Nothing was consumed.
        case receiveMore
        /// Ask the store, then call ``HTTPHandshake/authenticated(_:)``.
        case authenticate(Credentials)
        /// Carry out the request. What follows is payload.
        case open(SOCKSRequest)
        /// Send ``HTTPResponse/loginRequired`` and close: the login is bad.
        case refuseLogin
        /// Send the response and close.
        case refuse(HTTPResponse)
    }

    private enum State {
        /// - Parameter scanned: the bytes that need not be looked at again to find the end of the request.
        case awaitingRequest(needsLogin: Bool, scanned: UInt16)
        indirect case awaitingVerdict(SOCKSRequest)
        case over
    }

    private var state: State

    /// Bytes of a request up to its empty line, which included. What a session holds of a handshake has room for more.
    public static let longestRequest = 4000

    public init(needsLogin: Bool) {
        state = .awaitingRequest(needsLogin: needsLogin, scanned: 0)
    }

    /// Deals with the request at the front of `bytes`.
    ///
    /// - Parameter bytes: all that was received.
    /// - Returns: how many bytes the request had, 0 unless it is complete, and what to do.
    public mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: Action) {
        guard case .awaitingRequest(let needsLogin, let scanned) = state else {
            preconditionFailure("bytes while none are awaited")
        }
        do throws(HTTPResponse) {
            guard let end = try bytes.endOfHead(scanned: Int(scanned)) else {
                // Below the limit, since longer ones are refused.
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
    /// Where the empty line behind the request ends. `nil`: it isn't there yet.
    ///
    /// Each line ends with CRLF, and nothing else has a CR, an LF or another control character.
    ///
    /// - Parameter scanned: so many bytes were looked at before.
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
