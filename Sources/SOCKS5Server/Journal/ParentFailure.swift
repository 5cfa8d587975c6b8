internal import SOCKS5Protocol
internal import UVLoop

/// Why a parent has opened no connection (PROTOCOL 58).
///
/// With ``answered(_:code:)``, it has tried the request and reports the result. All other failures are the
/// parent's own, so another parent may succeed.
enum ParentFailure: Error, Equatable {
    case unreachable(UVError)
    case timedOut
    case loginRefused
    /// It breaks the rules of its protocol. The text is ours; nothing but numbers is repeated from the
    /// parent.
    case broken(String)
    /// TLS to it has failed; the reason is a constant text.
    case insecure(String)
    /// Its protocol can't express the request, or the login.
    case unsupported
    /// `code` is the byte that the parent has sent. Codes above 08 are unassigned (RFC 1928 section 6): the client then
    /// gets 01.
    case answered(Reply, code: UInt8)
}

extension ParentFailure {
    static func answered(_ reply: Reply) -> ParentFailure { .answered(reply, code: reply.rawValue) }

    init(_ failure: ClientHandshake.Failure) {
        switch failure {
        case .noAcceptableMethod, .loginRefused: self = .loginRefused
        case .unofferedMethod(let method):
            self = .broken("it selects method \(method.rawValue), which was not offered")
        case .refused(let reply): self = .answered(reply)
        case .unknownReply(let code): self = .answered(.generalFailure, code: code)
        case .malformed(let message): self.init(message)
        }
    }

    /// If identd doesn't confirm the user ID, that counts as a refused login.
    init(_ failure: SOCKS4ClientHandshake.Failure) {
        switch failure {
        case .refused(.granted), .refused(.rejected): self = .answered(.generalFailure)
        case .refused(.noIdentd), .refused(.otherUser): self = .loginRefused
        case .malformed(let message): self.init(message)
        }
    }

    init(_ failure: HTTPClientHandshake.Failure) {
        switch failure {
        case .loginRefused: self = .loginRefused
        case .refused(status: 403): self = .answered(.notAllowed)
        case .refused(status: 504): self = .answered(.ttlExpired)
        case .refused: self = .answered(.generalFailure)
        case .unexpected(let status): self = .broken("status \(status)")
        case .tooLong: self = .broken("a response without an end")
        case .malformed: self = .broken("no HTTP response")
        }
    }

    private init(_ message: MalformedMessage) {
        switch message {
        case .badVersion(let version): self = .broken("version \(version)")
        case .unknownReply(let code): self = .broken("reply \(code)")
        case .unknownAddressType(let type): self = .broken("address type \(type)")
        case .badDomainName: self = .broken("a bound address that isn't valid")
        case .unknownCommand, .badReserved, .portZero, .longUserID, .unknownMessageType, .badTokenLength:
            self = .broken("a malformed reply")
        }
    }
}

extension ParentFailure {
    /// For the log.
    var text: String {
        switch self {
        case .unreachable(let error): "parent unreachable: \(error)"
        case .timedOut: "parent too slow"
        case .loginRefused: "parent refuses the login"
        case .broken(let how): "parent breaks its protocol: \(how)"
        case .insecure(let how): "no TLS with the parent: \(how)"
        case .unsupported: "no word for this in the protocol of the parent"
        case .answered(_, let code): "refused by the parent, reply \(code)"
        }
    }
}
