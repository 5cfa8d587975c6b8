import TestSupport
import Testing

extension EndToEnd {
    @Suite(.client("curl", package: "curl")) struct BulkTests {
        /// One curl downloads a gibibyte and another uploads it again; the web server compares the bytes.
        @Test func aGibibyteComesDownAndGoesUpWhole() async throws {
            let bytes = 1 << 30
            let (result, sessions) = try await withRig(user: "alice:secret") { rig in
                let curl =
                    "curl --silent --show-error --fail-with-body --proxy socks5h://\(rig.proxy) "
                    + "--proxy-user alice:secret"
                // A length instead of chunks, and no waiting for the server to agree.
                let headers = "-H Content-Length:\(bytes) -H Transfer-Encoding: -H Expect:"
                let url = rig.url("127.0.0.1", "/pattern/\(bytes)")
                return try rig.run(
                    ["sh", "-c", "\(curl) \(url) | \(curl) -T - \(headers) \(url)"],
                    within: 60
                )
            }
            #expect(result.errors.isEmpty)
            #expect(result.output == "\(bytes) bytes\n")
            #expect(result.exitCode == 0)
            #expect(sessions.map(\.outcome) == ["completed", "completed"])
            #expect(sessions.contains { $0.received > bytes && $0.sent < 1000 })
            #expect(sessions.contains { $0.sent > bytes && $0.received < 1000 })
        }
    }
}
