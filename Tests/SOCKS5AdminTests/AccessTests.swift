import SOCKS5Protocol
import Testing

@testable import SOCKS5Admin

@Suite struct AccessTests {
    private static let token = "0123456789abcdef"

    private func access(token: String? = nil) -> Access {
        Access(
            place: .tcp(addresses: [
                HostAndPort(host: "192.0.2.1", port: 9080), HostAndPort(host: "2001:db8::1", port: 80),
            ]),
            token: token.flatMap { AdminToken(Array($0.utf8)) }
        )
    }

    private func request(_ headers: (name: String, value: String)...) -> Request {
        Request(method: "POST", path: "/", headers: headers)
    }

    private func bearer(_ token: String) -> (name: String, value: String) {
        ("authorization", "Bearer \(token)")
    }

    @Test(arguments: [
        "localhost", "LOCALHOST:9080", "127.0.0.1", "127.9.9.9:1", "[::1]:9080", "[::ffff:127.0.0.1]",
        "192.0.2.1:9080",
        "[2001:db8::1]", "[2001:db8::1]:80",
    ]) func ownHostsAreServed(_ host: String) {
        #expect(access().refusal(of: request(("host", host))) == nil)
    }

    @Test(arguments: [
        "example.com", "localhost.example.com", "127.0.0.1.example.com:9080", "192.0.2.1", "192.0.2.1:80",
        "192.0.2.2:9080",
        "[2001:db8::1]:9080", "", "[::1", "127.0.0.1@example.com", "localhost.", "0x7f.1",
    ]) func foreignHostsAreRefused(_ host: String) {
        #expect(access().refusal(of: request(("host", host)))?.status == 403)
        let change = request(("host", host), bearer(Self.token))
        #expect(access(token: Self.token).refusal(ofChange: change)?.status == 403)
    }

    @Test func tokenIsComparedWhole() {
        let access = access(token: Self.token)
        #expect(access.refusal(of: request(bearer(Self.token))) == nil)
        #expect(access.refusal(of: request(("authorization", "bearer  \(Self.token)"))) == nil)
        for wrong in [
            "", "0123456789abcde", "0123456789abcdeg", "0123456789abcdef0",
            "0123456789abcdef0123456789abcdef",
        ] {
            #expect(access.refusal(of: request(bearer(wrong)))?.status == 401, "\(wrong)")
        }
        #expect(access.refusal(of: request())?.status == 401)
        #expect(access.refusal(of: request(bearer(Self.token), bearer(Self.token)))?.status == 401)
        #expect(access.refusal(of: request(("authorization", "Basic \(Self.token)")))?.status == 401)
        #expect(access.refusal(of: request())?.headers.first?.name == "WWW-Authenticate")
    }

    @Test func tokensAreVisibleAndLong() {
        #expect(
            AdminToken(Array("short".utf8)) == nil && AdminToken(Array("0123456789abcde\u{e9}".utf8)) == nil
        )
        #expect(AdminToken(Array("0123456789 abcdef".utf8)) == nil && AdminToken([]) == nil)
    }

    @Test func nothingIsChangedWithoutAToken() {
        let refusal = access().refusal(ofChange: request(("host", "localhost")))
        #expect(refusal?.status == 403)
        let text = String(decoding: refusal?.body ?? [], as: UTF8.self)
        #expect(text.contains("admin.token-file"))
        #expect(Access(place: .unix, token: nil).refusal(ofChange: request()) == nil)
    }

    @Test func pagesOfOtherSitesChangeNothing() {
        let access = access(token: Self.token)
        func refusal(_ headers: (name: String, value: String)...) -> Int? {
            access.refusal(
                ofChange: Request(method: "POST", path: "/", headers: [("host", "127.0.0.1:9080")] + headers)
            )?.status
        }
        #expect(refusal() == nil)
        #expect(refusal(("origin", "http://127.0.0.1:9080"), ("sec-fetch-site", "same-origin")) == nil)
        #expect(refusal(("sec-fetch-site", "none")) == nil)
        for origin in ["null", "http://127.0.0.1:3000", "http://localhost:9080", "https://example.com", ""] {
            #expect(refusal(("origin", origin)) == 403, "\(origin)")
        }
        for site in ["cross-site", "same-site", ""] {
            #expect(refusal(("sec-fetch-site", site)) == 403, "\(site)")
        }
    }
}
