#if TLS
    import Glibc
    import TestSupport
    import Testing

    extension EndToEnd {
        /// SIGHUP reads certificates again.
        @Suite struct TLSReloadTests {
            private func rename(_ files: TestCertificates, _ from: String, to name: String) {
                for kind in ["pem", "key"] {
                    Glibc.rename(files["\(from).\(kind)"], files["\(name).\(kind)"])
                }
            }

            /// - Parameter change: changes the files before the reload, while a client is connected.
            /// - Returns: the client's output afterwards.
            private func reload(
                _ files: TestCertificates,
                _ change: @escaping @Sendable () throws -> Void
            ) async throws -> String {
                try await withSocks5d(Invocation(files.flags())) { proxy, port in
                    let echo = try LoopbackServer.echo()
                    let result = Swift.Result {
                        let arguments = [
                            "python3", "-c", pythonClient, "\(port)", "\(echo.port)", files.authority,
                        ]
                        let client = try ChildProcess(arguments + ["wait=1"])
                        defer { client.finish() }
                        _ = try client.waitForLine("ready")
                        try change()
                        proxy.signal(SIGHUP)
                        _ = try proxy.waitForLine(containing: "reloaded")
                        client.signal(SIGUSR1)
                        let end = try client.waitForEnd()
                        guard end.exitCode == 0 else { throw TestFailure(end.errors) }
                        return end.output.split(separator: "\n").dropFirst().joined(separator: ", ")
                    }
                    try echo.stop()
                    return try result.get()
                }
            }

            @Test func aNewCertificateIsServedAndOldSessionsGoOn() async throws {
                try await withTestCertificates { files in
                    try files.makeServer("next")
                    let seen = try await reload(files) { rename(files, "next", to: "server") }
                    #expect(seen == "resumed False, same certificate False")
                }
            }

            @Test func ticketsOfTheSameCertificateGoOn() async throws {
                try await withTestCertificates { files in
                    let seen = try await reload(files) {}
                    #expect(seen == "resumed True, same certificate True")
                }
            }

            @Test func aBrokenFileLeavesTheOldCertificateAndIsNamed() async throws {
                try await withTestCertificates { files in
                    let key = files["server.key"]
                    try await withSocks5d(Invocation(files.flags())) { proxy, port in
                        let good = try readBytes(key)
                        try writeFile(key, Array("no key".utf8))
                        proxy.signal(SIGHUP)
                        _ = try proxy.waitForLine(containing: "\(key): no private key in the PEM format")
                        _ = try proxy.waitForLine(containing: "not reloaded: everything stays as it was")
                        let connect = [
                            "s_client", "-connect", "127.0.0.1:\(port)", "-CAfile", files.authority,
                        ]
                        #expect(try files.openssl(connect).contains("Verify return code: 0"))
                        try writeFile(key, good)
                        proxy.signal(SIGHUP)
                        _ = try proxy.waitForLine(containing: " notice reloaded ")
                    }
                }
            }

            @Test func unusableFilesAreRefusedAtTheStartAndByCheck() async throws {
                try await withTestCertificates { files in
                    try files.makeExpired("old")
                    try files.makeServer("open")
                    chmod(files["open.key"], 0o644)
                    for (name, problem) in [
                        ("old", "old.pem: a certificate that has expired; expected a new one"),
                        ("open", "open.key: a private key that others may read; expected mode 0600"),
                    ] {
                        for command in [[], ["check"]] {
                            let arguments = command + ["--listen", "127.0.0.1:0"] + files.flags(name)
                            let result = try await Invocation(arguments).run()
                            #expect(result.exitCode == 78)
                            #expect(result.errors.contains(problem), "\(result.errors)")
                        }
                    }
                    let fine = try await Invocation(["check"] + files.flags()).run()
                    #expect(fine.exitCode == 0 && fine.output.hasPrefix("fine: "), "\(fine.errors)")
                }
            }

            @Test func theSandboxLetsAReloadReadTheFiles() async throws {
                try await withTestCertificates { files in
                    try files.makeServer("next")
                    let flags = files.flags() + ["--sandbox", "on"]
                    try await withSocks5d(Invocation(flags)) { proxy, _ in
                        rename(files, "next", to: "server")
                        proxy.signal(SIGHUP)
                        _ = try proxy.waitForLine(containing: " notice reloaded ")
                    }
                }
            }
        }
    }
#endif
