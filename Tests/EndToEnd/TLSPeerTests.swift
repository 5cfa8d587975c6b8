#if TLS
    import Glibc
    import SOCKS5Protocol
    import TestSupport
    import Testing

    extension EndToEnd {
        /// Clients that prove their identity, clients that don't, and slow ones.
        @Suite struct TLSPeerTests {
            /// Runs `body` with a proxy that demands certificates of its clients.
            private func withProvenClients<Result: Sendable>(
                _ files: TestCertificates,
                _ body:
                    @escaping @Sendable (ChildProcess, @escaping (String?) throws -> ChildProcess.Result)
                    throws -> Result
            ) async throws -> Result {
                let text = """
                    listeners:
                      - address: 127.0.0.1:0
                        tls: {certificate: server.pem, key: server.key, client-ca: ca.pem}
                        rules: [{deny: {users: [mallory]}}]
                    log: {level: info}
                    access-log: {file: access.log}

                    """
                try writeFile(files["socks5d.yaml"], Array(text.utf8))
                return try await withSocks5d(configuredBy: files["socks5d.yaml"]) { child, port in
                    let echo = try LoopbackServer.echo()
                    let result = Swift.Result {
                        try body(child) { name in
                            let own = name.map {
                                ["cert=\(files["\($0).pem"])", "key=\(files["\($0).key"])"]
                            }
                            let common = ["python3", "-c", pythonClient, "\(port)", "\(echo.port)"]
                            return try ChildProcess(common + [files.authority] + (own ?? [])).waitForEnd()
                        }
                    }
                    try echo.stop()
                    return try result.get()
                }
            }

            @Test func aCertificateNamesTheUserForRulesAndLog() async throws {
                try await withTestCertificates { files in
                    try files.makeClient("alice", subject: "/O=Test/CN=folder/CN=alice")
                    try files.makeClient("mallory", subject: "/CN=mallory")
                    try await withProvenClients(files) { child, connect in
                        let alice = try connect("alice")
                        #expect(alice.exitCode == 0, "\(alice.errors)")
                        _ = try child.waitForLine(containing: "user=alice")
                        #expect(try connect("mallory").errors.contains("reply 2"))
                    }
                }
            }

            @Test func aClientWithoutAGoodCertificateIsTurnedAway() async throws {
                try await withTestCertificates { files in
                    try files.makeExpired("old", subject: "/CN=alice")
                    try files.makeAuthority("stranger")
                    try files.makeClient("unknown", subject: "/CN=alice", signedBy: "stranger")
                    try files.makeClient("nameless", subject: "/O=alice")
                    try files.makeClient("empty", subject: "/O=alice/CN=")
                    try await withProvenClients(files) { _, connect in
                        for (name, reason) in [
                            (nil, "the client has no certificate"),
                            ("old", "the client's certificate has expired"),
                            ("unknown", "the client's certificate is of an unknown CA"),
                            ("nameless", "the client's certificate has no common name"),
                        ] {
                            #expect(try connect(name).exitCode != 0)
                            // The log has one such line per second.
                            try eventually("the log says: \(reason)") {
                                try readFile(files["access.log"]).contains(reason)
                            }
                        }
                    }
                }
            }

            @Test func aStrangerToTheProtocolIsNamedInTheLog() async throws {
                try await withTestCertificates { files in
                    try await withSocks5d(Invocation(files.flags())) { child, port in
                        let plain = try TestSocket(connectingTo: port)
                        defer { plain.close() }
                        try plain.send(Greeting(methods: [.noAuthentication]))
                        try plain.waitForClose()
                        _ = try child.waitForLine(containing: "not TLS: looks like SOCKS5")
                    }
                    try await withSocks5d { child, port in
                        let connect = ["s_client", "-connect", "127.0.0.1:\(port)"]
                        #expect(throws: TestFailure.self) { try files.openssl(connect) }
                        _ = try child.waitForLine(containing: "looks like TLS")
                    }
                }
            }

            /// As balancers and this program's own health check do.
            @Test func aClientThatConnectsAndLeavesIsNoFailure() async throws {
                try await withTestCertificates { files in
                    try await withSocks5d(Invocation(files.flags() + ["--log-level", "info"])) {
                        child,
                        port in
                        let silent = try TestSocket(connectingTo: port)
                        silent.endSending()
                        #expect(try silent.receiveToEnd().isEmpty)
                        silent.close()
                        let check = Invocation(
                            ["healthcheck", "--listen", "127.0.0.1:\(port)"] + files.flags()
                        )
                        let result = try check.start().waitForEnd()
                        #expect(result.output == "127.0.0.1:\(port) takes connections, for TLS\n")
                        #expect(try !child.stop().errors.contains("TLS failed"))
                    }
                }
            }

            @Test func slowAndSilentHandshakesEndAtTheOneDeadline() async throws {
                try await withTestCertificates { files in
                    let flags = files.flags() + ["--handshake-timeout", "500ms", "--log-level", "info"]
                    try await withSocks5d(Invocation(flags)) { child, port in
                        let silent = try TestSocket(connectingTo: port)
                        let dripping = try TestSocket(connectingTo: port)
                        defer { silent.close() }
                        defer { dripping.close() }
                        // A record that never becomes complete.
                        try dripping.send([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])
                        let begin = monotonicMilliseconds()
                        try eventually("the slow client is turned away") {
                            (try? dripping.send([0])) == nil || dripping.isReadable(atLeast: 0)
                        }
                        #expect(monotonicMilliseconds() - begin < 4000)
                        try silent.waitForClose()
                        _ = try child.waitForLine(containing: "timed out, handshake")
                    }
                }
            }
        }
    }
#endif
