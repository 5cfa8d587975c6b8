import SOCKS5Protocol
import TestSupport
import Testing

/// Debian's fail2ban with the filter in `deploy`, on lines that the server has written.
@Suite struct BanFilterTests {
    private static let filter = projectFolder + "/deploy/fail2ban/filter.d/socks5d.conf"

    /// User names chosen to get another address banned.
    private static let names = [
        "alice", "x client=192.0.2.1:1 id=1", "\nnotice login failed client=192.0.2.1:1 id=1",
        "\",\"client\":\"192.0.2.1:1\",\"id\":\"1",
        "2026-01-31T12:00:00.123Z notice login failed client=192.0.2.1:1 id=1",
    ]

    @Test(arguments: ["text", "json"])
    func failedLoginsAreFoundAndNothingElse(_ format: String) async throws {
        try await onThread {
            try withFolder { folder in
                let path = folder + "/messages.log"
                let arguments = [
                    "--user", "alice:secret", "--log-file", path, "--log-format", format, "--log-level",
                    "info",
                ]
                let child = try Invocation.anyPort.adding(Invocation(arguments)).start()
                defer { child.finish() }
                let port = try child.waitForPort()
                for name in Self.names { try expectLogin(name, "wrong", isAccepted: false, at: port) }
                try expectLogin("alice", "secret", at: port)
                _ = try child.stop()
                let search = ["fail2ban-regex", "--out", "ip", path, Self.filter]
                let found = try ChildProcess(search).waitForEnd()
                #expect(found.exitCode == 0, "\(found.errors)")
                let addresses = found.output.split(separator: "\n")
                #expect(addresses.map(String.init) == Self.names.map { _ in "127.0.0.1" })
            }
        }
    }
}
