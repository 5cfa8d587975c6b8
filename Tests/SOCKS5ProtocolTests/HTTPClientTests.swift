import SOCKS5Protocol
import Testing

private typealias Action = HTTPClientHandshake.Action

private let wanted = SOCKSRequest(
    command: .connect,
    destination: Destination(name: "example.com", port: 443)
)
private let payload = Array("HTTP/1.1 407 \r\n\r\n".utf8)

@Suite struct HTTPClientTests {
    /// The result of bytes that arrive in these parts, the number consumed, and the rest.
    private static func outcome(
        _ parts: [some Sequence<UInt8>]
    ) -> (action: Action, consumed: Int, held: [UInt8]) {
        var handshake = HTTPClientHandshake()
        #expect(handshake.request(wanted, nil) != nil)
        var held: [UInt8] = []
        var total = 0
        var last = Action.receiveMore
        for part in parts {
            held += part
            guard last == .receiveMore else { continue }
            let (consumed, action) = handshake.receive(held.span.bytes)
            held.removeFirst(consumed)
            total += consumed
            last = action
            if action == .receiveMore { #expect(held.isEmpty) }
        }
        return (last, total, held)
    }

    private static func action(_ text: String) -> Action { outcome([Array(text.utf8)]).action }

    private static func request(
        _ destination: Destination,
        _ credentials: Credentials? = nil
    ) -> String? {
        var handshake = HTTPClientHandshake()
        return handshake.request(SOCKSRequest(command: .connect, destination: destination), credentials)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    static let tunnels = [
        "HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 200 \r\n\r\n", "HTTP/1.1 299 \u{e9}\t\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nVia: 1.1 a\r\nX:\r\nY : z\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\t\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ]

    @Test(arguments: tunnels) func everyCutOfAResponseAndPayloadIsUnderstood(_ response: String) {
        let bytes = Array(response.utf8)
        let all = bytes + payload
        for cut in 0...all.count {
            let outcome = Self.outcome([all[..<cut], all[cut...]])
            #expect(outcome.action == .open && outcome.held == payload, "cut at \(cut)")
            #expect(outcome.consumed == bytes.count)
        }
        let single = Self.outcome(all.map { [$0] })
        #expect(single.action == .open && single.held == payload)
    }

    @Test(arguments: tunnels) func everyTruncationWaits(_ response: String) {
        for length in 0..<response.utf8.count {
            let outcome = Self.outcome([response.utf8.prefix(length)])
            #expect(outcome.action == .receiveMore && outcome.consumed == length, "\(length) bytes")
        }
    }

    @Test(arguments: 0...999) func eachStatusHasItsMeaning(_ status: Int) {
        let digits = String(repeating: "0", count: 3 - String(status).count) + String(status)
        let expected: HTTPClientHandshake.Action =
            switch status {
            case 100, 102..<200: .receiveMore
            case 200..<300: .open
            case 101, 300..<400: .fail(.unexpected(status: status))
            case 407: .fail(.loginRefused)
            case 400..<600: .fail(.refused(status: status))
            default: .fail(.malformed)
            }
        #expect(Self.action("HTTP/1.1 \(digits) Reason\r\n\r\n") == expected)
    }

    /// A proxy may close before the end of its response.
    @Test(arguments: ["", "Forbidden", "\0", "\n", "Forbidden\r\nX"])
    func aRefusalIsRecognisedByItsStatus(_ rest: String) {
        #expect(Self.action("HTTP/1.1 403 \(rest)") == .fail(.refused(status: 403)))
        #expect(Self.action("HTTP/1.1 407\r\(rest)") == .fail(.loginRefused))
        #expect(Self.action("HTTP/1.1 100 \r\n\r\nHTTP/1.0 502 \(rest)") == .fail(.refused(status: 502)))
    }

    /// The last byte reveals it.
    @Test(arguments: [
        "h", "HTTP/0", "HTTP/2", "HTTP/1,", "HTTP/1.x", "HTTP/1.10", "HTTP/1.1\t", "HTTP/1.1  ", "HTTP/1.1 0",
        "HTTP/1.1 6", "HTTP/1.1 2x", "HTTP/1.1 20 ", "HTTP/1.1 2000", "HTTP/1.1 200\n", "HTTP/1.1 200\t",
        "HTTP/1.1 200 OK\n", "HTTP/1.1 200 \0", "HTTP/1.1 200 \u{7f}", "HTTP/1.1 200 OK\r\r",
        "HTTP/1.1 200 OK\rX",
        "HTTP/1.1 200 OK\r\n ", "HTTP/1.1 200 OK\r\n\t", "HTTP/1.1 200 OK\r\n\n", "HTTP/1.1 200 OK\r\n:",
        "HTTP/1.1 200 OK\r\n\0", "HTTP/1.1 200 OK\r\n\u{e9}", "HTTP/1.1 200 OK\r\nX\r",
        "HTTP/1.1 200 OK\r\nX\n",
        "HTTP/1.1 200 OK\r\nX y", "HTTP/1.1 200 OK\r\nX(", "HTTP/1.1 200 OK\r\nX: a\n",
        "HTTP/1.1 200 OK\r\nX: \0", "HTTP/1.1 200 OK\r\nX: a\rb", "HTTP/1.1 200 OK\r\nX: a\r\n\r\r",
        "HTTP/1.1 100 \r\n\r\n\r", "HTTP/1.1 100 \r\n\r\n<", "<", "\r", "SSH-", "\u{5}", "\0",
    ]) func anythingElseIsMalformedAtItsByte(_ text: String) {
        let bytes = Array(text.utf8)
        // For a character of two bytes, the first one reveals it.
        let last = text.unicodeScalars.last?.isASCII == true ? 1 : 2
        let shown = text.hasPrefix("HTTP") ? bytes.count - last + 1 : 1
        let outcome = Self.outcome([bytes + payload])
        #expect(outcome.action == .fail(.malformed) && outcome.consumed == shown, "\(text.debugDescription)")
        #expect(Self.outcome([bytes.prefix(shown - 1)]).action == .receiveMore)
    }

    @Test func aResponseMayBeAsLongAsItsLimit() {
        let limit = HTTPClientHandshake.longestResponse
        let line = "HTTP/1.1 200 OK\r\n"
        let field = "X: " + String(repeating: "a", count: limit - line.utf8.count - 7)
        let longest = Array("\(line)\(field)\r\n\r\n".utf8)
        #expect(longest.count == limit)
        let outcome = Self.outcome([longest + payload])
        #expect(outcome.action == .open && outcome.held == payload)
        let longer = Array("\(line)\(field)a\r\n\r\n".utf8)
        for cut in [0, 1, limit - 1, limit, limit + 1] {
            let outcome = Self.outcome([longer[..<cut], longer[cut...]])
            #expect(outcome.action == .fail(.tooLong) && outcome.consumed == limit, "cut at \(cut)")
        }
        #expect(Self.outcome([longer[..<(limit - 1)]]).action == .receiveMore)
    }

    @Test func interimResponsesWithoutAnEndAreTooLong() {
        let interim = String(
            repeating: "HTTP/1.1 100\r\n\r\n",
            count: HTTPClientHandshake.longestResponse / 16
        )
        let outcome = Self.outcome([Array((interim + "HTTP/1.1 200\r\n\r\n").utf8)])
        #expect(outcome.action == .fail(.tooLong))
        #expect(outcome.consumed == HTTPClientHandshake.longestResponse)
    }

    @Test(arguments: [
        ("example.com", "example.com:443"), ("Example.COM.", "Example.COM.:443"), ("a_b", "a_b:443"),
        ("::1", "[::1]:443"), ("[2001:DB8::1]", "[2001:db8::1]:443"), ("0x7f.1", "127.0.0.1:443"),
    ]) func aRequestNamesTheTargetTwice(_ name: String, _ authority: String) {
        #expect(
            Self.request(Destination(name: name, port: 443))
                == "CONNECT \(authority) HTTP/1.1\r\nHost: \(authority)\r\n\r\n"
        )
    }

    @Test func anAddressIsWrittenOut() {
        let ipv6 = Destination(host: .ipv6(IPv6Address(high: 0x2001_0db8 << 32, low: 1)), port: 8080)
        #expect(
            Self.request(ipv6)
                == "CONNECT [2001:db8::1]:8080 HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n"
        )
        #expect(
            Self.request(.loopback(80)) == "CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n"
        )
    }

    /// A client's name must not become another part of the request.
    @Test(arguments: ["a/b", "a@b", "a:80", "a?b", "a#b", "[a]", "a\\111", "a%0d", "..", "*", "1.2.3.400"])
    func aNameThatCannotBeLookedUpIsNotAskedFor(_ name: String) throws {
        let name = try #require(DomainName(name))
        #expect(Self.request(Destination(host: .name(name), port: 443)) == nil)
    }

    @Test(arguments: [.bind, .udpAssociate, .resolve] as [SOCKSCommand]) func onlyCONNECTCanBeAskedFor(
        _ command: SOCKSCommand
    ) {
        var handshake = HTTPClientHandshake()
        let request = SOCKSRequest(command: command, destination: wanted.destination)
        #expect(handshake.request(request, nil) == nil)
        #expect(handshake.request(wanted, nil) != nil, "the request is still owed")
    }

    @Test(arguments: [
        ("alice", "secret", "YWxpY2U6c2VjcmV0"), ("", "", "Og=="), ("a", "", "YTo="), ("a", ":", "YTo6"),
        ("a", ":b", "YTo6Yg=="), ("j\u{fc}rgen", "\u{20ac}\r\n", "asO8cmdlbjrigqwNCg=="),
    ]) func aLoginIsSentByBasic(_ user: String, _ password: String, _ expected: String) throws {
        let text = try #require(
            Self.request(wanted.destination, Credentials(username: user, password: password))
        )
        #expect(
            text == "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n"
                + "Proxy-Authorization: Basic \(expected)\r\n\r\n"
        )
    }

    @Test func aLoginOfAnyBytesIsReadAsItWasWritten() throws {
        let all = (0...255).map { UInt8($0) }
        for length in 0...255 {
            let user = all.prefix(length).map { $0 == UInt8(ascii: ":") ? 0 : $0 }
            let credentials = Credentials(username: user, password: Array(all.suffix(255 - length)))
            var client = HTTPClientHandshake()
            let sent = client.request(wanted, credentials)
            let bytes = try #require(sent)
            var server = HTTPHandshake(needsLogin: true)
            let (consumed, action) = server.receive(bytes.span.bytes)
            #expect(consumed == bytes.count && action == .authenticate(credentials))
            #expect(server.authenticated(true) == .open(wanted))
        }
    }

    @Test func aUserWithAColonIsNotSent() {
        #expect(Self.request(wanted.destination, Credentials(username: "a:b", password: "c")) == nil)
    }

    @Test func noSecretIsKept() {
        var handshake = HTTPClientHandshake()
        _ = handshake.request(wanted, Credentials(username: "alice", password: "secret"))
        var dumped = ""
        dump(handshake, to: &dumped)
        // On a line of its own: the dump has addresses in it too.
        #expect(!dumped.contains("secret") && !dumped.contains("c2Vjc") && !dumped.contains("- 115\n"))
    }
}
