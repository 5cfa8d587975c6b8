#if TLS
    import Glibc
    import TestSupport
    import Testing

    extension EndToEnd {
        /// TLS clients of other projects.
        @Suite struct TLSTests {
            @Test func opensslGetsAnAnswer() async throws {
                try await withTestCertificates { files in
                    let (result, sessions) = try await withRig(files.flags()) { rig in
                        // openssl ends when the other side does.
                        let server = try LoopbackServer { try $0.send(Array("got ".utf8) + $0.receive(5)) }
                        let result = Result {
                            let input = rig.conversation(with: server.port, Array("hello".utf8))
                            return try rig.openssl(files, ["-quiet", "-alpn", "socks"], input: input)
                        }
                        try server.stop()
                        return try result.get()
                    }
                    #expect(result.output.hasSuffix("got hello"), "\(result.errors)")
                    #expect(sessions.map(\.outcome) == ["completed"])
                }
            }

            @Test(arguments: [
                ("TLSv1_2", "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384 socks False"),
                ("TLSv1_3", "TLSv1.3 TLS_AES_128_GCM_SHA256 socks False"),
            ])
            func pythonSendsMegabytesAndResumesItsSession(version: String, said: String) async throws {
                try await withTestCertificates { files in
                    let (result, sessions) = try await withRig(files.flags()) { rig in
                        try rig.python(files, ["version=\(version)", "bytes=8388608", "resume=1"])
                    }
                    #expect(result.output == "\(said)\nresumed True\n", "\(result.errors)")
                    #expect(sessions.map(\.outcome) == ["completed", "completed"])
                    #expect(sessions.map(\.sent) == [8 << 20, 1 << 16])
                }
            }

            @Test func clientsThatAskForAnotherProtocolAreServedToo() async throws {
                try await withTestCertificates { files in
                    let (result, _) = try await withRig(files.flags()) { try $0.python(files, ["alpn=h2"]) }
                    #expect(
                        result.output == "TLSv1.3 TLS_AES_128_GCM_SHA256 None False\n",
                        "\(result.errors)"
                    )
                }
            }

            @Test(.client("stunnel", package: "stunnel4")) func stunnelBringsCurl() async throws {
                try await withTestCertificates { files in
                    let (page, sessions) = try await withRig(files.flags()) { rig in
                        let port = TestListener.unusedPort()
                        let text = """
                            foreground = yes
                            pid =
                            [socks]
                            client = yes
                            accept = 127.0.0.1:\(port)
                            connect = \(rig.proxy)
                            CAfile = \(files.authority)
                            verifyChain = yes
                            checkHost = proxy.test

                            """
                        let stunnel = try ChildProcess(
                            ["stunnel", try rig.file("stunnel.conf", Array(text.utf8))]
                        )
                        defer { stunnel.finish() }
                        try eventually("stunnel listens") {
                            (try? TestSocket(connectingTo: port))?.close() != nil
                        }
                        let proxy = "socks5h://127.0.0.1:\(port)"
                        return try rig.run(["curl", "-sS", "--proxy", proxy, rig.url("localhost")])
                    }
                    #expect(page.output == WebConnection.page, "\(page.errors)")
                    #expect(sessions.map(\.host) == ["localhost"])
                }
            }

            @Test(.client("curl", package: "curl")) func curlUsesAnHTTPSProxy() async throws {
                try await withTestCertificates { files in
                    let (page, sessions) = try await withRig(files.flags(), protocols: "http") { rig in
                        try rig.curl(
                            "https",
                            ["--proxy-cacert", files.authority, "--proxytunnel", rig.url("127.0.0.1")]
                        )
                    }
                    #expect(page.output == WebConnection.page, "\(page.errors)")
                    #expect(sessions.map(\.outcome) == ["completed"])
                }
            }

            /// The checks of a typical TLS scanner.
            @Test func onlySafeVersionsAndCiphersAreSpoken() async throws {
                let anything = ["-cipher", "ALL:@SECLEVEL=0"]
                let attempts: [(arguments: [String], cipher: String?)] = [
                    (["-tls1"] + anything, nil), (["-tls1_1"] + anything, nil),
                    (["-tls1_2", "-cipher", "AES128-GCM-SHA256"], nil),
                    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA"], nil),
                    (["-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"], nil),
                    (
                        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
                        "ECDHE-ECDSA-AES128-GCM-SHA256"
                    ),
                    (
                        ["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
                        "ECDHE-ECDSA-CHACHA20-POLY1305"
                    ),
                    (["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"], "TLS_AES_256_GCM_SHA384"),
                    (["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"], nil),
                ]
                try await withTestCertificates { files in
                    let (results, _) = try await withRig(files.flags()) { rig in
                        try attempts.map { try rig.openssl(files, $0.arguments) }
                    }
                    for (attempt, result) in zip(attempts, results) {
                        #expect((result.exitCode == 0) == (attempt.cipher != nil), "\(attempt)")
                        if let cipher = attempt.cipher {
                            #expect(result.output.contains("Cipher is \(cipher)"))
                            #expect(result.output.contains("Compression: NONE"))
                        }
                    }
                }
            }

            @Test func aClientCannotRenegotiate() async throws {
                try await withTestCertificates { files in
                    let (result, _) = try await withRig(files.flags()) { rig in
                        try rig.openssl(files, ["-tls1_2"], input: Array("R\n".utf8))
                    }
                    #expect(result.errors.contains("RENEGOTIATING"), "\(result.errors)")
                    #expect(result.errors.contains("no renegotiation") && result.exitCode != 0)
                }
            }

            @Test func minimum13RefusesOlderClients() async throws {
                try await withTestCertificates { files in
                    let text = """
                        listeners:
                          - address: 127.0.0.1:0
                            tls: {certificate: server.pem, key: server.key, minimum: "1.3"}
                        log: {level: info}
                        """
                    try writeFile(files["socks5d.yaml"], Array(text.utf8))
                    try await withSocks5d(configuredBy: files["socks5d.yaml"]) { child, port in
                        let common = [
                            "s_client", "-connect", "127.0.0.1:\(port)", "-CAfile", files.authority,
                        ]
                        #expect(throws: TestFailure.self) { try files.openssl(common + ["-tls1_2"]) }
                        _ = try child.waitForLine(containing: "no protocol version in common")
                        #expect(try files.openssl(common + ["-tls1_3"]).contains("Verify return code: 0"))
                    }
                }
            }
        }
    }
#endif
