import SOCKS5Protocol
import Testing

private let line = "CONNECT example.com:443 HTTP/1.1\r\n"
private let host = "Host: example.com:443\r\n"
/// alice:secret
private let login = "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r\n"
private let request = SOCKSRequest(
    command: .connect,
    destination: Destination(name: "example.com", port: 443)
)
private let credentials = Credentials(username: "alice", password: "secret")

/// The messages of HTTP CONNECT.
@Suite struct HTTPTests {
    private static func actions(
        _ parts: [some Sequence<UInt8>],
        needsLogin: Bool
    ) -> (actions: [HTTPHandshake.Action], held: [UInt8]) {
        var handshake = HTTPHandshake(needsLogin: needsLogin)
        var held: [UInt8] = []
        var actions: [HTTPHandshake.Action] = []
        for part in parts {
            held += part
            guard actions.isEmpty else { continue }
            let (consumed, action) = handshake.receive(held.span.bytes)
            held.removeFirst(consumed)
            if action != .receiveMore { actions.append(action) }
            if case .authenticate = action { actions.append(handshake.authenticated(true)) }
        }
        return (actions, held)
    }

    private static func action(_ text: String, needsLogin: Bool = false) -> HTTPHandshake.Action {
        actions([Array(text.utf8)], needsLogin: needsLogin).actions.first ?? .receiveMore
    }

    @Test(arguments: [false, true]) func everyCutInTwoIsUnderstood(_ needsLogin: Bool) {
        let bytes = Array("\(line)\(host)\(login)\r\npayload".utf8)
        let expected: [HTTPHandshake.Action] =
            needsLogin ? [.authenticate(credentials), .open(request)] : [.open(request)]
        for cut in 0...bytes.count {
            let outcome = Self.actions([bytes[..<cut], bytes[cut...]], needsLogin: needsLogin)
            #expect(outcome.actions == expected, "cut at \(cut)")
            #expect(outcome.held == Array("payload".utf8))
        }
        let single = Self.actions(bytes.map { [$0] }, needsLogin: needsLogin)
        #expect(single.actions == expected)
    }

    @Test func everyTruncationWaits() {
        let text = "\(line)\(host)\(login)\r\n"
        for length in 0..<text.utf8.count {
            #expect(
                Self.action(String(decoding: text.utf8.prefix(length), as: UTF8.self)) == .receiveMore,
                "\(length) bytes"
            )
        }
    }

    @Test(arguments: [
        ("example.com:443", "example.com:443"), ("127.0.0.1:80", "127.0.0.1:80"),
        ("[2001:db8::1]:65535", "[2001:db8::1]:65535"), ("a\\111:1", "a\\111:1"),
    ]) func theTargetIsHostAndPort(_ target: String, _ expected: String) throws {
        guard case .open(let request) = Self.action("CONNECT \(target) HTTP/1.0\r\n\r\n") else {
            throw Failure(text: target)
        }
        #expect(request.destination.description == expected)
    }

    @Test(arguments: [
        "", "example.com", "example.com:", ":80", "example.com:0", "example.com:65536", "example.com:+80",
        "example.com:80a", "::1:80", "[::1]", "[::1%25lo]:80", "[example.com]:80", "[]:80", "[:80", "a@b:80",
        "a/b:80", "a b:80",
        "http://example.com:80/", "a\u{e9}:80", "/", "*", "\(String(repeating: "a", count: 256)):80",
    ]) func invalidTargetsAreMalformed(_ target: String) {
        #expect(Self.action("CONNECT \(target) HTTP/1.0\r\n\r\n") == .refuse(.malformed))
    }

    @Test(arguments: [
        "\(line)\r\n", "\(line)\(host)\(host)\r\n", "\(line)\(host)\(login)\(login)\r\n",
        "\(line)\(host)Content-Length: 1\r\n\r\n", "\(line)\(host)content-length: 00\r\n\r\n",
        "\(line)\(host)Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "\(line)\(host)Transfer-Encoding: chunked\r\n\r\n",
        "\(line)\(host)TRANSFER-ENCODING: identity\r\n\r\n",
        "\(line)\(host)X: a\r\n b\r\n\r\n", "\(line)\(host)\tX: a\r\n\r\n", "\(line)Host : a\r\n\r\n",
        "\(line)\(host): a\r\n\r\n", "\(line)\(host)X\r\n\r\n", "\(line)\(host)X y: a\r\n\r\n",
        "CONNECT example.com:443 HTTP/1.1\nHost: a\n\n", "\(line)Host: a\n\r\n", "\(line)Host: a\rb\r\n\r\n",
        "\(line)Host: a\r\r\n\r\n", "\(line)\(host)X: \0\r\n\r\n", "\(line)\(host)X: \u{7f}\r\n\r\n",
        "CONNECT  example.com:443 HTTP/1.1\r\n\(host)\r\n", "CONNECT example.com:443\r\n\(host)\r\n",
        "CONNECT example.com:443 HTTP/1.1 \r\n\(host)\r\n",
        "CONNECT\texample.com:443 HTTP/1.1\r\n\(host)\r\n",
        "CONNECT example.com:443 HTTP/2.0\r\n\(host)\r\n", "CONNECT example.com:443 http/1.1\r\n\(host)\r\n",
        "CONNECT example.com:443 HTTP/1.10\r\n\(host)\r\n",
        "C(ONNECT example.com:443 HTTP/1.1\r\n\(host)\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ]) func ambiguousRequestsAreRefused(_ text: String) {
        #expect(Self.action(text) == .refuse(.malformed), "\(text.debugDescription)")
    }

    @Test func anEmptyBodyIsNone() {
        #expect(Self.action("\(line)\(host)Content-Length: 0\r\n\r\n") == .open(request))
    }

    @Test(arguments: ["GET", "POST", "PUT", "connect", "PRI", "X-Y"]) func onlyCONNECTIsServed(
        _ method: String
    ) {
        #expect(
            Self.action("\(method) http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n")
                == .refuse(.otherMethod)
        )
    }

    @Test func aRequestWithoutAnEndIsTooLongAtItsLimit() {
        let field = "X: \(String(repeating: "a", count: HTTPHandshake.longestRequest))\r\n"
        let text = "\(line)\(host)\(field)\r\n"
        let limit = HTTPHandshake.longestRequest
        #expect(Self.action(String(decoding: text.utf8.prefix(limit - 1), as: UTF8.self)) == .receiveMore)
        #expect(Self.action(String(decoding: text.utf8.prefix(limit), as: UTF8.self)) == .refuse(.tooLong))
        #expect(Self.action(text) == .refuse(.tooLong))
        let fitting = "X: \(String(repeating: "a", count: limit - "\(line)\(host)X: \r\n\r\n".utf8.count))"
        #expect(Self.action("\(line)\(host)\(fitting)\r\n\r\n") == .open(request))
    }

    @Test(arguments: [
        ("basic YWxpY2U6c2VjcmV0", credentials), ("BASIC \t YWxpY2U6c2VjcmV0 ", credentials),
        ("Basic Og==", Credentials(username: "", password: "")),
        ("Basic YTo6", Credentials(username: "a", password: ":")),
        ("Basic AP86/wA=", Credentials(username: [0, 255], password: [255, 0])),
    ]) func aLoginIsUserAndPassword(_ value: String, _ expected: Credentials) {
        let text = "\(line)\(host)proxy-AUTHORIZATION:\(value)\r\n\r\n"
        #expect(Self.action(text, needsLogin: true) == .authenticate(expected))
        #expect(Self.action(text) == .open(request))
    }

    @Test(arguments: [
        "Basic YWxpY2U=", "Basic YTpi=", "Basic YTpi====", "Basic YT=i", "Basic Y=Q=", "Basic YTp_",
        "Basic YTp",
        "Basic YTo6 YTo6", "Basic a:b", "Basic YTpiYh==", "Basic ", "Basic =",
        "Basic \(String(repeating: "YWFh", count: 86))Og==",
    ]) func malformedLoginsCountAsWrong(_ value: String) {
        let text = "\(line)\(host)Proxy-Authorization: \(value)\r\n\r\n"
        let expected: HTTPHandshake.Action = value == "Basic " ? .refuse(.loginRequired) : .refuseLogin
        #expect(Self.action(text, needsLogin: true) == expected)
    }

    @Test(arguments: ["", login.replacing("Basic", with: "Bearer"), "Authorization: Basic YTpi\r\n"])
    func aMissingLoginIsAskedFor(_ field: String) {
        #expect(Self.action("\(line)\(host)\(field)\r\n", needsLogin: true) == .refuse(.loginRequired))
    }

    @Test func aLoginThatIsRefusedOpensNothing() {
        var handshake = HTTPHandshake(needsLogin: true)
        let bytes = Array("\(line)\(host)\(login)\r\n".utf8)
        #expect(handshake.receive(bytes.span.bytes).action == .authenticate(credentials))
        #expect(handshake.authenticated(false) == .refuseLogin)
    }

    @Test(arguments: Reply.allCases) func eachReplyHasItsStatus(_ reply: Reply) {
        let statuses: [Reply: Int] = [.succeeded: 200, .notAllowed: 403, .ttlExpired: 504]
        let status = statuses[reply] ?? 502
        #expect(HTTPResponse(reply).encoded.starts(with: "HTTP/1.1 \(status) ".utf8))
    }

    @Test(arguments: HTTPResponse.allCases) func aRefusalSaysItsLengthAndThatItCloses(
        _ response: HTTPResponse
    )
        throws
    {
        let text = String(decoding: response.encoded, as: UTF8.self)
        let end = try #require(text.firstRange(of: "\r\n\r\n"))
        let body = text[end.upperBound...]
        guard response != .established else {
            #expect(text == "HTTP/1.1 200 Connection established\r\n\r\n")
            return
        }
        #expect(text.contains("\r\nConnection: close\r\n"))
        #expect(text.contains("\r\nContent-Length: \(body.utf8.count)\r\n"))
        #expect(text.contains("\r\nAllow: CONNECT\r\n") == (response == .otherMethod))
        #expect(text.contains("\r\nProxy-Authenticate: Basic ") == (response == .loginRequired))
    }

    private struct Failure: Error {
        let text: String
    }
}
