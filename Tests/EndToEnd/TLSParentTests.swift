#if TLS
    import TestSupport
    import Testing

    extension EndToEnd {
        /// One socks5d behind another, with TLS between them.
        @Suite(.client("curl", package: "curl")) struct TLSParentTests {
            /// Gets a page through a socks5d with these settings.
            ///
            /// - Parameters:
            ///   - settings: made from the place of the parent, a socks5d with TLS.
            /// - Returns: curl's output, and the log of the socks5d in the middle.
            private func page(
                _ files: TestCertificates,
                _ settings: @escaping @Sendable (String) -> String
            ) async throws -> (curl: ChildProcess.Result, log: String) {
                try await withRig(files.flags(), protocols: "socks5,http") { rig in
                    try writeFile(files["middle.yaml"], Array(settings(rig.proxy).utf8))
                    let middle = try Invocation("--config", files["middle.yaml"]).start()
                    defer { middle.finish() }
                    let port = try middle.waitForPort()
                    let curl = try rig.run([
                        "curl", "-sS", "--proxy", "socks5h://127.0.0.1:\(port)", rig.url("localhost"),
                    ])
                    // The other route, whose failure is logged.
                    _ = try rig.run([
                        "curl", "-sS", "--proxy", "socks5h://127.0.0.1:\(port)", rig.url("127.0.0.1"),
                    ])
                    let end = try middle.stop()
                    return (curl, end.output + end.errors)
                }.0
            }

            @Test(arguments: [
                "socks5+tls: PLACE, ca: ca.pem", "https: PLACE, ca: ca.pem", "https: PLACE, pin: PIN",
                "socks5+tls: PLACE, ca: ca.pem, server-name: proxy.test, pin: PIN",
            ])
            func aPageComesThroughAVerifiedParent(keys: String) async throws {
                try await withTestCertificates { files in
                    let pin = try files.pin(of: "server")
                    let (curl, log) = try await page(files) { place in
                        let entry = keys.replacing("PLACE", with: place).replacing(
                            "PIN",
                            with: "sha256//\(pin)"
                        )
                        return """
                            listen: ["127.0.0.1:0"]
                            parents: {safe: {\(entry)}}
                            routes: [{via: safe}]
                            """
                    }
                    #expect(curl.output == WebConnection.page, "\(curl.errors) \(log)")
                }
            }

            /// The first proxy is asked without TLS, and sees only TLS with the second one.
            @Test func tlsBeginsAfterAPlainParent() async throws {
                try await withTestCertificates { files in
                    let (first, firstPort) = try await onThread {
                        let first = try Invocation.anyPort.start()
                        return (first, try first.waitForPort())
                    }
                    defer { first.finish() }
                    let (curl, log) = try await page(files) { place in
                        """
                        listen: ["127.0.0.1:0"]
                        parents:
                          first: {socks5: "127.0.0.1:\(firstPort)"}
                          safe: {socks5+tls: "\(place)", ca: ca.pem, through: first}
                        routes: [{via: safe}]
                        """
                    }
                    #expect(curl.output == WebConnection.page, "\(curl.errors) \(log)")
                }
            }

            @Test(arguments: [
                ("socks5+tls: PLACE, ca: stranger.pem", "the server's certificate is of an unknown CA"),
                (
                    "socks5+tls: PLACE, ca: ca.pem, server-name: other.test",
                    "the server's certificate is of another host"
                ),
                (
                    "https: PLACE, pin: sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
                    "the server's key isn't the pinned one"
                ),
                ("https: 'WEB', ca: ca.pem", "not TLS: looks like HTTP"),
            ])
            func aParentWithAWrongIdentityIsSkipped(keys: String, reason: String) async throws {
                try await withTestCertificates { files in
                    try files.makeAuthority("stranger")
                    // It sends the same answer to any bytes.
                    let plain = try LoopbackServer { socket in
                        _ = try socket.receiveSome()
                        try socket.send(Array("HTTP/1.0 400 Bad Request\\r\\n\\r\\n".utf8))
                    }
                    let web = "127.0.0.1:\(plain.port)"
                    let (curl, log) = try await page(files) { place in
                        let entry = keys.replacing("PLACE", with: place).replacing("WEB", with: web)
                        return """
                            listen: ["127.0.0.1:0"]
                            parents:
                              wrong: {\(entry)}
                              right: {socks5+tls: "\(place)", ca: ca.pem}
                              any: {any-of: [wrong, right], choose: in-order}
                            routes: [{domains: [localhost], via: any}, {via: wrong}]
                            access-log: {file: "-"}
                            """
                    }
                    try plain.stop()
                    #expect(curl.output == WebConnection.page, "\(curl.errors) \(log)")
                    #expect(log.contains("no TLS with the parent: \(reason)"), "\(log)")
                }
            }

            @Test func datagramsDoNotLeaveByAParentWithTLS() async throws {
                try await withTestCertificates { files in
                    let text = """
                        parents: {safe: {socks5+tls: "127.0.0.1:1", ca: \(files.authority)}}
                        routes: [{via: safe}]
                        """
                    try writeFile(files["f.yaml"], Array(text.utf8))
                    let arguments = ["routes", "127.0.0.1:53", "--udp", "--config", files["f.yaml"]]
                    let result = try await Invocation(arguments).run()
                    #expect(
                        result.exitCode == 1 && result.output.contains("none of these parents takes them")
                    )
                }
            }
        }
    }
#endif
