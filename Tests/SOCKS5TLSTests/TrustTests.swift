#if TLS
    import Glibc
    import SOCKS5TLS
    import TestSupport
    import Testing
    import UVLoop

    @Suite("TLS: certificates, and who is trusted")
    struct TrustTests {
        private func failures(
            _ client: any StreamCodecSource,
            _ server: any StreamCodecSource
        ) throws -> (client: String?, server: String?) {
            let pair = try TestPair(client, server)
            pair.exchange()
            if pair.client.failure == nil { pair.client.decode() }
            return (pair.client.failure?.text, pair.server.failure?.text)
        }

        @Test("a client takes no server of another name, of an unknown CA, or that has expired")
        func wrongServers() throws {
            try withCertificates { files in
                let server = try files.serverContext()
                let other = try failures(files.clientContext(name: "other.test"), server)
                #expect(other.client == "the server's certificate is of another host")
                #expect(other.server == "the peer says: a bad certificate")

                try files.makeAuthority("stranger")
                let stranger = try TLSClientContext(
                    .init(authority: files["stranger.pem"], name: "proxy.test", nameIsAddress: false),
                    protocol: "socks"
                )
                #expect(
                    try failures(stranger, server).client == "the server's certificate is of an unknown CA"
                )
                #expect(
                    try failures(stranger, server).server == "the peer doesn't know the CA of the certificate"
                )

                let address = try TLSClientContext(
                    .init(authority: files.authority, name: "127.0.0.1", nameIsAddress: true),
                    protocol: "socks"
                )
                #expect(try failures(address, server) == (nil, nil))
                let otherAddress = try TLSClientContext(
                    .init(authority: files.authority, name: "127.0.0.2", nameIsAddress: true),
                    protocol: "socks"
                )
                let refused = try failures(otherAddress, server).client
                #expect(refused == "the server's certificate is of another address")
            }
        }

        @Test("a pin suffices without CAs, and counts beside them")
        func pins() throws {
            try withCertificates { files in
                let server = try files.serverContext()
                let text = try files.pin(of: "server")
                let pin = try readBytes(files["server.public.digest"])
                #expect(pin.count == 32 && text.count == 44)
                let wrong = [UInt8](repeating: 1, count: 32)
                let refusal = "the server's key isn't the pinned one"
                for authority in [nil, files.authority] {
                    let right = try TLSClientContext(
                        .init(authority: authority, name: "proxy.test", nameIsAddress: false, pin: pin),
                        protocol: "socks"
                    )
                    #expect(try failures(right, server) == (nil, nil))
                    let other = try TLSClientContext(
                        .init(authority: authority, name: "proxy.test", nameIsAddress: false, pin: wrong),
                        protocol: "socks"
                    )
                    #expect(try failures(other, server).client == refusal)
                }
                let both = try files.clientContext(name: "other.test", pin: pin)
                #expect(try failures(both, server).client == "the server's certificate is of another host")
            }
        }

        @Test("a version that only one end speaks is in common with nobody")
        func versions() throws {
            try withCertificates { files in
                let server = try files.serverContext(minimum: .tls13)
                #expect(try failures(files.clientContext(minimum: .tls13), server) == (nil, nil))
                let pair = try TestPair(files.clientContext(), server)
                pair.exchange()
                #expect(try pair.client.tls.version == "TLSv1.3")
            }
        }

        @Test("files that can't be used are refused, with what to do")
        func files() throws {
            try withCertificates { files in
                func refusal(_ certificate: String, _ key: String, _ authority: String? = nil) -> String {
                    do throws(TLSFileError) {
                        _ = try TLSServerContext(
                            certificate: files[certificate],
                            key: files[key],
                            clientAuthority: authority.map { files[$0] }
                        )
                        return ""
                    } catch {
                        return error.description.replacing("\(files.folder)/", with: "")
                    }
                }
                #expect(refusal("server.pem", "server.key") == "")
                #expect(refusal("none.pem", "server.key") == "none.pem: No such file or directory")
                #expect(refusal("server.pem", "none.key") == "none.key: No such file or directory")
                #expect(
                    refusal("server.key", "server.key").hasPrefix(
                        "server.key: no certificate in the PEM format"
                    )
                )
                #expect(
                    refusal("server.pem", "server.pem").contains(
                        "server.pem: a private key that others may read"
                    )
                )
                #expect(refusal("server.pem", "ca.key") == "ca.key: the private key of another certificate")
                #expect(refusal(".", "server.key").hasPrefix(".: not a file"))
                try files.makeExpired("old")
                #expect(refusal("old.pem", "old.key").hasPrefix("old.pem: a certificate that has expired"))
                #expect(
                    refusal("server.pem", "server.key", "server.pem").hasPrefix(
                        "server.pem: a certificate that isn't a CA's"
                    )
                )
                #expect(
                    refusal("server.pem", "server.key", "server.key").hasPrefix(
                        "server.key: no certificate in the PEM"
                    )
                )
                try files.openssl([
                    "pkey", "-in", files["server.key"], "-out", files["secret.key"], "-aes256", "-passout",
                    "pass:x",
                ])
                #expect(
                    refusal("server.pem", "secret.key").hasPrefix(
                        "secret.key: a private key with a passphrase"
                    )
                )
                let broken =
                    try readFile(files["server.pem"])
                    + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
                try writeFile(files["broken.pem"], Array(broken.utf8))
                #expect(
                    refusal("broken.pem", "server.key").hasPrefix(
                        "broken.pem: a certificate behind the first one"
                    )
                )
                try writeFile(files["long.pem"], [UInt8](repeating: 65, count: (1 << 20) + 1))
                #expect(refusal("long.pem", "server.key").hasPrefix("long.pem: longer than 1 MiB"))
                try files.openssl([
                    "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=weak", "-keyout",
                    files["weak.key"],
                    "-out", files["weak.pem"],
                ])
                #expect(refusal("weak.pem", "weak.key").hasPrefix("weak.pem: a certificate that is too weak"))
            }
        }

        @Test(
            "only root lets its group read a key",
            .enabled(if: geteuid() == 0, "owners are changed by root")
        )
        func keyModes() throws {
            try withCertificates { files in
                for (mode, owner, isFine): (mode_t, uid_t, Bool) in [
                    (0o600, 0, true), (0o640, 0, true), (0o440, 0, true), (0o644, 0, false),
                    (0o660, 0, false),
                    (0o601, 0, false), (0o600, 65534, true), (0o640, 65534, false),
                ] {
                    #expect(
                        chown(files["server.key"], owner, 0) == 0 && chmod(files["server.key"], mode) == 0
                    )
                    let context = try? files.serverContext()
                    #expect((context != nil) == isFine, "mode \(mode) of \(owner)")
                }
            }
        }

        @Test("a system without CAs is told, unless there is a pin")
        func systemAuthorities() throws {
            let trust = TLSClientContext.Trust(name: "a", nameIsAddress: false)
            if TLSClientContext.systemAuthority == nil {
                #expect(throws: TLSFileError.self) { try TLSClientContext(trust, protocol: "socks") }
            } else {
                _ = try TLSClientContext(trust, protocol: "socks")
            }
            var pinned = trust
            pinned.pin = [UInt8](repeating: 0, count: 32)
            _ = try TLSClientContext(pinned, protocol: "socks")
        }
    }
#endif
