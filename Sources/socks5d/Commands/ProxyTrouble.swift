internal import Glibc
internal import SOCKS5Protocol

/// Why a SOCKS5 server can't be used: its behaviour and advice, in one line.
struct ProxyTrouble: Error, CustomStringConvertible {
    let description: String

    /// The step that the server should have answered.
    enum Step {
        case greeting, login, request, peer, payload
    }

    init(_ description: String) {
        self.description = description
    }

    init(connectingTo server: HostAndPort, _ trouble: ClientSocket.Trouble) {
        let hint =
            switch trouble {
            case .system(ECONNREFUSED): "; is it running, and is the port right?"
            case .silence: "; the host is down, or a firewall drops the connection"
            case .name: "; is the name right?"
            case .system: ""
            }
        self.init("\(trouble)\(hint)")
    }

    init(connectingToUnix trouble: ClientSocket.Trouble) {
        let hint =
            switch trouble {
            case .system(ECONNREFUSED), .system(ENOENT): "; is it running, and is the path right?"
            case .system(EACCES): "; the socket's mode, or that of a folder above it, keeps this user out"
            case .silence, .name, .system: ""
            }
        self.init("\(trouble)\(hint)")
    }

    /// The connection broke, or timed out.
    init(_ trouble: ClientSocket.Trouble, at step: Step) {
        switch (trouble, step) {
        case (.system(ECONNRESET), _), (.system(EPIPE), _):
            self.init("it reset the connection\(step.unanswered); \(step.reason)")
        case (.silence, .greeting):
            self.init("\(trouble); it may be another kind of server, as of HTTP or TLS, or be too busy")
        case (.silence, .request):
            self.init("\(trouble) to the request; it may still be connecting, so try a longer --timeout")
        case (.silence, .peer):
            self.init("\(trouble); it doesn't report the connection to the address that it has bound")
        case (.silence, .login), (.silence, .payload), (.system, _), (.name, _):
            self.init("\(trouble)\(step.unanswered)")
        }
    }

    init(closedAt step: Step, isWithinMessage: Bool) {
        self.init(
            isWithinMessage
                ? "it closed the connection in the middle of its answer; is it a SOCKS5 server?"
                : "it closed the connection\(step.unanswered); \(step.reason)"
        )
    }

    /// - Parameter received: the server's bytes, starting with the message that means the failure.
    init(
        _ failure: ClientHandshake.Failure,
        offered: [AuthenticationMethod],
        at step: Step,
        received: [UInt8],
        _ wayToLogIn: String
    ) {
        switch failure {
        case .noAcceptableMethod:
            self.init(
                offered.contains(.usernamePassword)
                    ? "it takes neither a login by user and password nor none"
                    : "it requires a login; \(wayToLogIn)"
            )
        case .unofferedMethod(let method):
            self.init(
                "it selects method \(method.rawValue.hex), which was not offered; is it a SOCKS5 server?"
            )
        case .loginRefused:
            self.init("wrong user or password")
        case .refused(let reply):
            self.init("reply \(reply.rawValue), \(reply.meaning)")
        case .unknownReply(let code):
            self.init(
                "reply \(code), which RFC 1928 doesn't have; the server's documentation may say more"
            )
        case .malformed:
            self.init(Self.stranger(received, at: step))
        }
    }

    /// The failure of an HTTP proxy.
    init(_ failure: HTTPClientHandshake.Failure, hasLogin: Bool, received: [UInt8]) {
        switch failure {
        case .loginRefused:
            self.init(
                hasLogin
                    ? "status 407: wrong user or password, or it wants another kind of login than Basic"
                    : "status 407: it requires a login; give one in its URL"
            )
        case .refused(let status):
            self.init("status \(status): it doesn't connect to that; its log may say why")
        case .unexpected(let status):
            self.init("status \(status), which no CONNECT leads to; is it a proxy?")
        case .tooLong:
            self.init(
                "its answer is longer than \(HTTPClientHandshake.longestResponse) bytes; is it a proxy?"
            )
        case .malformed:
            self.init("it is no HTTP proxy, as its answer begins with \(Self.start(of: received))")
        }
    }

    /// The failure of a SOCKS4 server.
    init(_ failure: SOCKS4ClientHandshake.Failure, received: [UInt8]) {
        switch failure {
        case .refused(let code):
            self.init("code \(code.rawValue): it refuses the request, or can't connect; its log may say why")
        case .malformed:
            self.init("it is no SOCKS4 server, as its answer begins with \(Self.start(of: received))")
        }
    }

    /// - Returns: the error of a protocol that can't express the request.
    static var inexpressible: ProxyTrouble {
        ProxyTrouble("its protocol can't ask for that: SOCKS4 has no IPv6 addresses")
    }

    private static func start(of bytes: [UInt8]) -> String {
        bytes.prefix(8).map(\.hex).joined(separator: " ")
    }

    /// Guesses a protocol other than SOCKS5 by its first bytes.
    private static func stranger(_ bytes: [UInt8], at step: Step) -> String {
        guard step == .greeting else {
            return "its answer breaks the rules of SOCKS5; is it a SOCKS5 server?"
        }
        let kinds: [([UInt8], String)] = [
            (Array("HTTP/".utf8), "an HTTP server"), (Array("<".utf8), "an HTTP server"),
            (Array("SSH-".utf8), "an SSH server"), (Array("220".utf8), "a mail or FTP server"),
            ([0x15, 0x03], "a TLS server"),
            ([0x00, 0x5a], "a SOCKS4 server"), ([0x00, 0x5b], "a SOCKS4 server"),
            ([0x00, 0x5c], "a SOCKS4 server"),
            ([0x00, 0x5d], "a SOCKS4 server"), ([0x04], "a SOCKS4 server"),
        ]
        if let kind = kinds.first(where: { bytes.starts(with: $0.0) })?.1 {
            return "it is \(kind), not a SOCKS5 server; is the port right?"
        }
        return "it is no SOCKS5 server, as its answer begins with \(start(of: bytes)); is the port right?"
    }
}

extension ProxyTrouble.Step {
    /// The step that wasn't answered.
    fileprivate var unanswered: String {
        switch self {
        case .greeting: " without an answer"
        case .login: " instead of answering the login"
        case .request: " instead of answering the request"
        case .peer: " instead of reporting the peer"
        case .payload: " before the bytes of the peer"
        }
    }

    /// Why a server would break the connection at this step.
    fileprivate var reason: String {
        switch self {
        case .greeting: "it doesn't take clients from here, is full, has TLS, or is no SOCKS5 server"
        case .login: "some servers do so where user or password is wrong"
        case .request, .peer, .payload: "its log may say why"
        }
    }
}

extension UInt8 {
    /// Two digits.
    fileprivate var hex: String {
        (self < 16 ? "0" : "") + String(self, radix: 16)
    }
}

extension Reply {
    /// The meaning of the code in RFC 1928 section 6, applied to the target.
    fileprivate var meaning: String {
        switch self {
        case .succeeded: "succeeded"
        case .generalFailure: "general failure: the proxy can't carry the request out; its log may say why"
        case .notAllowed:
            "not allowed: a rule, the destination guard or a limit of the proxy refuses this target"
        case .networkUnreachable: "network unreachable: the proxy has no route to the target"
        case .hostUnreachable:
            "host unreachable: the proxy doesn't find the target's name, or can't reach its host"
        case .connectionRefused: "connection refused: nothing listens on that port of the target"
        case .ttlExpired: "timed out: the target didn't answer the proxy in time"
        case .commandNotSupported: "command not supported: the proxy doesn't do that, or is told not to"
        case .addressTypeNotSupported:
            "address type not supported: the proxy doesn't reach IPv4, IPv6 or names; try another form of the target"
        }
    }
}
