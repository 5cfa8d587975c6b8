/// The client's side of HTTP CONNECT, without I/O (RFC 9110 sections 9.3.6 and 11.7, RFC 9112).
///
/// Used like ``ClientHandshake``: send what ``request(_:_:)`` returns, then bytes come in and one action comes out.
/// Unlike there, bytes are consumed as they come, so that a long response needs no buffer. The machine keeps no bytes
/// and no secret.
public struct HTTPClientHandshake: Sendable {
    public enum Action: Hashable, Sendable {
        /// The response isn't complete. All bytes were consumed.
        case receiveMore
        /// The tunnel is open. The bytes that follow are payload of the target, even if the response announces a body.
        case open
        /// Close. Bytes that follow mean nothing.
        case fail(Failure)
    }

    /// Why there is no tunnel.
    public enum Failure: Error, Hashable, Sendable {
        /// 407: the proxy requires a login, or a different one.
        case loginRefused
        /// The proxy refuses the request with this status, from 400 to 599 except 407.
        case refused(status: Int)
        /// A status that CONNECT doesn't allow: 101 or a redirection.
        case unexpected(status: Int)
        /// The response doesn't end within ``HTTPClientHandshake/longestResponse``.
        case tooLong
        /// The response violates RFC 9112.
        case malformed
    }

    private enum State {
        case owingRequest
        case awaitingResponse(HTTPResponseReader, received: Int)
        case over
    }

    private var state = State.owingRequest

    /// The longest response in bytes, including its empty line and any interim responses before it.
    public static let longestResponse = 16 * 1024

    public init() {}

    /// The request, to be sent before anything is received. It contains the password.
    ///
    /// - Parameter credentials: sent by Basic (RFC 7617) without waiting for the proxy to ask for them.
    /// - Returns: `nil` if HTTP can't express the request: a command other than CONNECT, a host that is neither a name
    ///   nor an address, or a user with a colon. The machine then still expects a request.
    public mutating func request(_ request: SOCKSRequest, _ credentials: Credentials?) -> [UInt8]? {
        switch state {
        case .owingRequest: break
        case .awaitingResponse, .over: preconditionFailure("a second request")
        }
        guard request.command == .connect, let authority = request.destination.authority else { return nil }
        let head = "CONNECT \(authority) HTTP/1.1\r\nHost: \(authority)\r\n"
        var bytes: [UInt8] = []
        // Reserves the final length: memory that grows would leave a copy of the password behind.
        bytes.reserveCapacity(head.utf8.count + (credentials?.lengthOfBasic ?? 0) + 64)
        bytes += head.utf8
        if let credentials {
            guard !credentials.username.contains(UInt8(ascii: ":")) else { return nil }
            bytes += "Proxy-Authorization: Basic ".utf8
            credentials.appendBasic(to: &bytes)
            bytes += "\r\n".utf8
        }
        bytes += "\r\n".utf8
        state = .awaitingResponse(HTTPResponseReader(), received: 0)
        return bytes
    }

    /// Processes the bytes that have come.
    ///
    /// - Parameter bytes: all bytes that were received and not yet consumed.
    /// - Returns: the number of bytes that belong to the response, and the action.
    public mutating func receive(_ bytes: RawSpan) -> (consumed: Int, action: Action) {
        guard case .awaitingResponse(var reader, var received) = state else {
            preconditionFailure("bytes while none are awaited")
        }
        var index = 0
        do throws(Failure) {
            while index < bytes.byteCount {
                index += 1
                received += 1
                if try reader.read(bytes[index - 1]) {
                    state = .over
                    return (index, .open)
                }
                if received == Self.longestResponse { throw .tooLong }
            }
            state = .awaitingResponse(reader, received: received)
            return (index, .receiveMore)
        } catch {
            state = .over
            return (index, .fail(error))
        }
    }
}

extension Destination {
    /// The authority in a request for a tunnel (RFC 9112 section 3.2.3). `nil` if the host isn't a name that can be
    /// looked up, and might be read as something else.
    fileprivate var authority: String? {
        let plain = undisguised
        if case .name(let name) = plain.host, HostName(name.description) == nil { return nil }
        return plain.description
    }
}
