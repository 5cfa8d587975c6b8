import Testing
import Text

@testable import SOCKS5Admin

@Suite struct PageTests {
    private let status = Status(
        version: "1.2.3",
        libuv: "1.44.2",
        pid: 7,
        state: .running,
        started: Timestamp(milliseconds: 1_764_334_000_000),
        now: Timestamp(milliseconds: 1_764_337_661_000),
        workers: 2,
        listeners: [Status.Listener(name: "127.0.0.1:1080", sessions: 1)]
    )

    private func row(_ destination: String, user: [UInt8]? = nil) -> Page.Row {
        Page.Row(
            destination: destination,
            address: "192.0.2.1:443",
            user: user,
            client: "192.0.2.9:4711",
            age: .seconds(3720),
            idle: .seconds(5),
            sent: 1_234_567,
            received: 999
        )
    }

    private func page(
        _ rows: [Page.Row],
        matched: Int = 60,
        offset: Int = 0,
        _ filter: Page.Filter = Page.Filter()
    ) -> String {
        let table = Page.Table(
            rows: rows,
            matched: matched,
            total: 60,
            offset: offset,
            limit: Page.rows,
            filter: filter
        )
        return String(decoding: Page.html(status, table, nonce: "abc123"), as: UTF8.self)
    }

    @Test func eachPlaceOfTheFileIsKnownAndFilled() {
        #expect(Set(PageTemplate.page.places) == Set(PageTemplate.Place.allCases))
        #expect(!page([]).contains("{{"))
        #expect(page([]).hasSuffix("</html>\n"))
    }

    @Test func bracesAroundOtherNamesAreText() {
        let template = PageTemplate(Array("{{{{nonce}} {{}} {{nonce} {{unknown}} {{user}}{{".utf8))
        #expect(template.places == [.nonce, .user])
        let text = template.filled { place, html in html.append(contentsOf: "<\(place)>".utf8) }
        #expect(String(decoding: text, as: UTF8.self) == "{{<nonce> {{}} {{nonce} {{unknown}} <user>{{")
    }

    @Test func theFirstTableIsInIt() {
        let html = page([row("example.com:443", user: Array("alice".utf8))])
        for text in [
            "<bdi>example.com:443</bdi><small><bdi>192.0.2.1:443</bdi></small>", "<bdi>alice</bdi>",
            "<bdi>192.0.2.9:4711</bdi>", ">1 h 2 min<", ">5 s<", ">1.2 MB<", ">999 B<", "1–1 of 60",
            "127.0.0.1:1080", "Running", "socks5d 1.2.3",
        ] {
            #expect(html.contains(text), "\(text)")
        }
    }

    /// Text that a client can choose: user and destination.
    @Test(arguments: [
        ("\"><script>alert(1)</script>", "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a\nb\r\tc\0", #"a\nb\r\tc\0"#), ("\u{202e}gpj.exe", #"\u{202E}gpj.exe"#),
        ("\u{1b}[31mred", #"\u{1B}[31mred"#), ("a\u{200b}b\u{2066}c", #"a\u{200B}b\u{2066}c"#),
        ("'&amp;", "&#39;&amp;amp;"), ("{{nonce}}", "{{nonce}}"), ("Zoë 日本", "Zoë 日本"),
    ])
    func textFromTheWireIsTextAndIsSeen(_ text: String, _ shown: String) {
        let html = page([row(text, user: Array(text.utf8))])
        #expect(html.contains("<bdi>\(shown)</bdi><small>"))
        #expect(html.components(of: "<bdi>\(shown)</bdi>") == 2)
        #expect(!html.contains("<script>"))
    }

    @Test func bytesThatAreNoTextAreShownAsEscapes() {
        #expect(page([row("x", user: [0x61, 0xff, 0xc3])]).contains("<bdi>a\u{fffd}\u{fffd}</bdi>"))
    }

    @Test func theFilterIsKeptInTheFormAndInTheLinks() {
        let html = page(
            [row("x")],
            offset: 25,
            Page.Filter(user: "\"a&b\" c", client: "", destination: "é")
        )
        #expect(html.contains("name=\"user\" ") && html.contains("value=\"&quot;a&amp;b&quot; c\""))
        #expect(html.contains("href=\"/?user=%22a%26b%22%20c&amp;destination=%C3%A9&amp;offset=0\">Previous"))
        #expect(html.contains("href=\"/?user=%22a%26b%22%20c&amp;destination=%C3%A9&amp;offset=26\">Next"))
    }

    @Test func thereAreLinksOnlyToPagesThatAreThere() {
        #expect(!page([row("x")], matched: 1).contains("class=\"button\""))
        #expect(page([], matched: 60, offset: .max).components(of: "class=\"button\"") == 1)
    }

    @Test func theNonceIsInEveryScriptAndStyleAndInThePolicy() {
        let html = page([])
        #expect(
            html.components(of: "<script") == html.components(of: "nonce=\"abc123\">")
                - html.components(of: "<style")
        )
        #expect(Page.contentSecurityPolicy(nonce: "abc123").contains("script-src 'nonce-abc123';"))
        let nonces = (0..<100).map { _ in Page.newNonce() }
        #expect(Set(nonces).count == 100 && nonces.allSatisfy { $0.utf8.count == 32 })
    }

    /// Neither an attribute that runs a script nor one that sets a style passes the policy.
    @Test func thePageHasNothingThatItsPolicyForbids() {
        let html = page([])
        for part in [
            "http://", "https://", " style=\"", " onclick=\"", "javascript:", "@import", "url(", "innerHTML",
            "eval(",
        ] {
            let allowed = part == "http://" ? html.components(of: "http://www.w3.org/2000/svg") : 0
            #expect(html.components(of: part) == allowed, "\(part)")
        }
    }

    @Test(arguments: [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1999, "1.9 kB"), (12_345_678, "12.3 MB"),
        (UInt64.max, "18.4 EB"),
    ])
    func bytesAreReadable(_ bytes: UInt64, _ text: String) {
        #expect(bytes.inBytes == text)
    }
}

extension String {
    /// The number of occurrences of the text in it.
    fileprivate func components(of text: String) -> Int {
        ranges(of: text).count
    }
}
