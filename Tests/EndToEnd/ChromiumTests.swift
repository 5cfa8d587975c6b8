import TestSupport
import Testing

extension EndToEnd {
    /// A browser without a screen. It offers no login, and sends every host as a name.
    @Suite(.client("chromium", package: "chromium")) struct ChromiumTests {
        @Test(arguments: ["127.0.0.1", "localhost"])
        func aPageAndItsScriptLoad(_ host: String) async throws {
            try await expectPage(from: host)
        }

        @Test(.ipv6) func aPageAndItsScriptLoadOverIPv6() async throws {
            try await expectPage(from: "[::1]")
        }

        private func expectPage(from host: String) async throws {
            let ((page, port), sessions) = try await withRig { rig in
                (try rig.chromium(rig.url(host)), rig.web.port)
            }
            #expect(page.output.contains(WebConnection.pageText), "\(page.errors)")
            #expect(page.output.contains("<p>\(WebConnection.scriptText)</p>"))
            let own = sessions.filter { $0.port == port }
            #expect(own.contains { $0.received > WebConnection.page.utf8.count })
            #expect(own.allSatisfy { $0.host == host })
        }

        @Test func aProxyThatAsksForALoginIsAnError() async throws {
            let (page, sessions) = try await withRig(user: "alice:secret") {
                try $0.chromium($0.url("127.0.0.1"))
            }
            #expect(!page.output.contains(WebConnection.pageText))
            // The browser's background connections may be cut off when it ends.
            #expect(sessions.contains { $0.outcome == "no acceptable method" })
            #expect(sessions.allSatisfy { ["no acceptable method", "client left"].contains($0.outcome) })
        }
    }
}

extension Rig {
    /// Loads a page and prints its document. The browser's own requests, by HTTPS, go to a port without a listener.
    fileprivate func chromium(_ url: String) throws -> ChildProcess.Result {
        try run(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                "--user-data-dir=.", "--proxy-server=http=socks5://\(proxy);https=http://127.0.0.1:9",
                "--proxy-bypass-list=<-loopback>", "--dump-dom", url,
            ],
            within: 60
        )
    }
}
