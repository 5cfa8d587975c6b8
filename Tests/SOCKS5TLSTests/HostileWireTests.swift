#if TLS
    import SOCKS5TLS
    import TestSupport
    import Testing
    import UVLoop

    @Suite("TLS: wires that no honest peer sends")
    struct HostileWireTests {
        @Test(
            "a wire without TLS is called by its look, and gets no answer",
            arguments: [
                ("\u{5}\u{1}\u{0}", "not TLS: looks like SOCKS5"),
                ("\u{4}\u{1}", "not TLS: looks like SOCKS4"),
                ("CONNECT a:1 HTTP/1.1\r\n", "not TLS: looks like HTTP"),
                ("GET / ", "not TLS: looks like HTTP"),
                ("\r\n\r\n\0", "not TLS: looks like a PROXY header"), ("\u{15}\u{3}", "not TLS"),
                ("x", "not TLS"),
            ]
        )
        func strangers(text: String, failure: String) throws {
            try withCertificates { files in
                let server = try TestEnd(files.serverContext())
                server.wire = Array(text.utf8)
                server.decode()
                #expect(server.failure == CodecFailure(.tls, failure))
                #expect(server.messages().isEmpty)
                // After a failure it stays failed.
                server.failure = nil
                server.decode()
                #expect(server.failure == CodecFailure(.tls, failure))
            }
        }

        @Test("a server without TLS is called by its look")
        func strangeServer() throws {
            try withCertificates { files in
                let client = try TestEnd(files.clientContext())
                _ = client.messages()
                client.wire = Array("HTTP/1.1 400 Bad Request\r\n".utf8)
                client.decode()
                #expect(client.failure?.text == "not TLS: looks like HTTP")
            }
        }

        @Test("a wire that ends within a handshake or a record is a failure, and none at a record's end")
        func truncated() throws {
            try withCertificates { files in
                let half = try TestEnd(files.serverContext())
                // It has sent nothing, so nothing is broken.
                try half.codec.wireDidEnd(undecoded: 0)
                half.wire = [0x16]
                half.decode()
                #expect(throws: CodecFailure(.tls, "the connection has ended within the handshake")) {
                    try half.codec.wireDidEnd(undecoded: 0)
                }
                let pair = try TestPair(files.clientContext(), files.serverContext())
                pair.exchange()
                try pair.server.codec.wireDidEnd(undecoded: 0)
                let wire = try pair.client.encode([1, 2, 3]).wire
                for (index, byte) in wire.enumerated() {
                    pair.server.wire.append(byte)
                    pair.server.decode()
                    if index == wire.count - 1 { break }
                    #expect(throws: CodecFailure(.tls, "the connection has ended within a record")) {
                        try pair.server.codec.wireDidEnd(undecoded: 0)
                    }
                }
                try pair.server.codec.wireDidEnd(undecoded: 0)
                #expect(pair.server.received == [1, 2, 3])
            }
        }

        @Test("a record that is changed anywhere, or comes twice, isn't taken")
        func forged() throws {
            try withCertificates { files in
                let replayed = try TestPair(files.clientContext(), files.serverContext())
                replayed.exchange()
                let wire = try replayed.client.encode(Array("pay 1".utf8)).wire
                replayed.server.wire = wire + wire
                replayed.server.decode()
                #expect(replayed.server.received == Array("pay 1".utf8))
                #expect(replayed.server.failure?.text == "a record that isn't authentic")
                #expect(!replayed.server.messages().isEmpty, "an alert")

                for index in wire.indices {
                    let pair = try TestPair(files.clientContext(), files.serverContext())
                    pair.exchange()
                    var forged = try pair.client.encode(Array("pay 1".utf8)).wire
                    forged[index] ^= 0x41
                    pair.server.wire = forged
                    pair.server.decode()
                    #expect(pair.server.received.isEmpty)
                    // A longer length waits for the rest.
                    #expect(pair.server.failure != nil || index == 3 || index == 4, "byte \(index)")
                }
            }
        }

        @Test("garbage behind a header never traps, and never becomes payload")
        func garbage() throws {
            try withCertificates { files in
                var random = SystemRandomNumberGenerator()
                let context = try files.serverContext()
                let client = try TestEnd(files.clientContext())
                let hello = client.messages()
                for round in 0..<2000 {
                    let server = try TestEnd(context)
                    if round % 2 == 0 {
                        var changed = hello
                        for _ in 0...round % 5 {
                            changed[Int.random(in: 0..<changed.count, using: &random)] = .random(
                                in: 0...255,
                                using: &random
                            )
                        }
                        server.wire = changed
                    } else {
                        let length = Int.random(in: 0...300, using: &random)
                        server.wire = [0x16, 3, 1, UInt8(length >> 8), UInt8(length & 0xff)]
                        server.wire += (0..<length + 7).map { _ in .random(in: 0...255, using: &random) }
                    }
                    server.decode()
                    _ = server.messages()
                    #expect(server.received.isEmpty)
                    #expect(server.codec.peerName == nil)
                }
            }
        }

        @Test("a failure leaves nothing behind for the next connection of the thread")
        func noLeak() throws {
            try withCertificates { files in
                let context = try files.serverContext()
                let good = try TestPair(files.clientContext(), context)
                let bad = try TestEnd(context)
                bad.wire = [0x16, 3, 1, 0, 4, 0xff, 0, 0, 0]
                bad.decode()
                #expect(bad.failure != nil)
                good.exchange()
                try TestPair.send([1, 2], from: good.client, to: good.server)
                #expect(good.server.received == [1, 2] && good.server.failure == nil)
            }
        }
    }
#endif
