#if TLS
    import SOCKS5TLS
    import TestSupport
    import Testing
    import UVLoop

    @Suite("TLS: a codec beside a codec, in memory")
    struct CodecTests {
        @Test(
            "payload goes both ways, whatever the pieces are",
            arguments: [1, 2, 3, 5, 7, 100, 16384, .max]
        )
        func pieces(piece: Int) throws {
            try withCertificates { files in
                let pair = try TestPair(files.clientContext(), files.serverContext())
                pair.client.room = 97
                pair.exchange(piece: piece)
                let text = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                try TestPair.send(text, from: pair.client, to: pair.server, piece: piece)
                try TestPair.send(text.reversed(), from: pair.server, to: pair.client, piece: piece)
                #expect(pair.server.received == text)
                #expect(pair.client.received == text.reversed())
                #expect(pair.client.failure == nil && pair.server.failure == nil)
                #expect(try pair.server.tls.version == "TLSv1.3")
                #expect(try pair.server.tls.cipher == "TLS_AES_128_GCM_SHA256")
            }
        }

        @Test("a wire that is cut in two anywhere gives the same payload")
        func splits() throws {
            try withCertificates { files in
                let pair = try TestPair(files.clientContext(), files.serverContext())
                pair.exchange()
                let text = Array("a line of payload".utf8)
                let length = try pair.client.encode(text).wire.count
                pair.server.received = []
                // That wire is lost: begin again.
                let other = try TestPair(files.clientContext(), files.serverContext())
                other.exchange()
                for split in 0...length {
                    let wire = try other.client.encode(text).wire
                    try #require(wire.count == length)
                    other.server.received = []
                    other.server.wire = Array(wire[..<split])
                    other.server.decode()
                    other.server.wire += wire[split...]
                    other.server.decode()
                    #expect(other.server.received == text, "cut at \(split)")
                }
            }
        }

        @Test("new keys delay nothing, even if a peer renews them often", arguments: [7, .max])
        func keys(piece: Int) throws {
            try withCertificates { files in
                let pair = try TestPair(files.clientContext(), files.serverContext())
                pair.exchange()
                for (sender, receiver) in [(pair.client, pair.server), (pair.server, pair.client)] {
                    var sent: [UInt8] = []
                    receiver.received = []
                    for round in 0..<20 {
                        #expect(try sender.tls.renewKeys())
                        let text = [UInt8](repeating: UInt8(round), count: 100)
                        receiver.wire += try sender.encode(text).wire
                        sent += text
                    }
                    receiver.decode(piece: piece)
                    #expect(receiver.received == sent && receiver.wire.isEmpty)
                    pair.exchange()
                    try TestPair.send([1, 2, 3], from: receiver, to: sender)
                    #expect(sender.received.suffix(3) == [1, 2, 3])
                }
                #expect(pair.client.failure == nil && pair.server.failure == nil)
            }
        }

        @Test("nothing is encoded before the handshake's end, and it is then")
        func early() throws {
            try withCertificates { files in
                let pair = try TestPair(files.clientContext(), files.serverContext())
                #expect(try pair.server.encode([1, 2, 3]).consumed == 0)
                pair.exchange()
                #expect(try pair.server.encode([1, 2, 3]).consumed == 3)
            }
        }

        @Test("payload without room waits inside, and comes without any wire")
        func waits() throws {
            try withCertificates { files in
                let pair = try TestPair(files.clientContext(), files.serverContext())
                pair.exchange()
                pair.server.room = 10
                let wire = try pair.client.encode([UInt8](repeating: 7, count: 1000)).wire
                var payload = [UInt8](repeating: 0, count: 10)
                let step = try payload.withUnsafeMutableBytes { payload in
                    try wire.withUnsafeBytes { try pair.server.codec.decode($0, into: payload) }
                }
                #expect(step == CodecStep(consumed: wire.count, produced: 10))
                pair.server.decode()
                #expect(pair.server.received == [UInt8](repeating: 7, count: 990))
            }
        }

        @Test("each direction ends by itself")
        func halfClose() throws {
            try withCertificates { files in
                for clientFirst in [true, false] {
                    let pair = try TestPair(files.clientContext(), files.serverContext())
                    pair.exchange()
                    let (first, second) =
                        clientFirst ? (pair.client, pair.server) : (pair.server, pair.client)
                    let wire = try first.encode([1, 2, 3]).wire
                    first.codec.end()
                    second.wire = wire + first.messages()
                    second.decode()
                    #expect(second.received == [1, 2, 3])
                    #expect(second.codec.peerHasEnded && !first.codec.peerHasEnded)
                    try second.codec.wireDidEnd(undecoded: 0)
                    try TestPair.send([UInt8](repeating: 9, count: 50_000), from: second, to: first)
                    second.codec.end()
                    first.wire += second.messages()
                    first.decode()
                    #expect(first.received == [UInt8](repeating: 9, count: 50_000))
                    #expect(first.codec.peerHasEnded)
                }
            }
        }

        @Test("an end behind payload without room counts when the payload was given out")
        func endAfterPayload() throws {
            try withCertificates { files in
                let pair = try TestPair(files.clientContext(), files.serverContext())
                pair.exchange()
                let wire = try pair.client.encode([1, 2, 3]).wire
                pair.client.codec.end()
                var room: [UInt8] = [0]
                let all = wire + pair.client.messages()
                let step = try room.withUnsafeMutableBytes { room in
                    try all.withUnsafeBytes { try pair.server.codec.decode($0, into: room) }
                }
                #expect(step.produced == 1 && !pair.server.codec.peerHasEnded)
                pair.server.wire = Array(all[step.consumed...])
                pair.server.decode()
                #expect(pair.server.received == [2, 3] && pair.server.codec.peerHasEnded)
            }
        }

        @Test("whatever follows the peer's end is ignored")
        func afterEnd() throws {
            try withCertificates { files in
                let pair = try TestPair(files.clientContext(), files.serverContext())
                pair.exchange()
                pair.client.codec.end()
                pair.server.wire = pair.client.messages() + [1, 2, 3, 4, 5, 6, 7]
                pair.server.decode()
                #expect(pair.server.wire.isEmpty && pair.server.received.isEmpty)
                #expect(pair.server.failure == nil && pair.server.codec.peerHasEnded)
            }
        }

        @Test("the end of our direction is said at the handshake's end at the latest")
        func earlyEnd() throws {
            try withCertificates { files in
                let pair = try TestPair(files.clientContext(), files.serverContext())
                pair.client.codec.end()
                pair.exchange()
                #expect(pair.server.codec.peerHasEnded && pair.server.failure == nil)
            }
        }

        @Test("64 MiB go through small rooms", .enabled(if: !isQuick))
        func bulk() throws {
            try withCertificates { files in
                let pair = try TestPair(files.clientContext(), files.serverContext())
                pair.exchange()
                pair.server.room = 24_001
                let text = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ ($0 >> 8)) }
                for _ in 0..<64 {
                    pair.server.received.removeAll(keepingCapacity: true)
                    pair.server.wire += try pair.client.encode(text, room: 50_021).wire
                    pair.server.decode(piece: 60_013)
                    guard pair.server.received == text else {
                        Issue.record("other payload")
                        return
                    }
                }
            }
        }

        @Test("a small room gives short records")
        func smallRoom() throws {
            try withCertificates { files in
                let pair = try TestPair(files.clientContext(), files.serverContext())
                pair.exchange()
                let text = [UInt8](repeating: 3, count: 5000)
                let (wire, consumed) = try pair.client.encode(text, room: 300)
                #expect(consumed == text.count)
                pair.server.wire = wire
                pair.server.decode()
                #expect(pair.server.received == text)
                #expect(try pair.client.encode(text, room: 256).consumed == 0)
            }
        }

        @Test("a session is resumed by a ticket, over contexts with the same certificate alone")
        func tickets() throws {
            try withCertificates { files in
                try files.makeServer("other")
                let client = try files.clientContext()
                for (name, isResumed) in [
                    ("server", false), ("server", true), ("other", false), ("other", true),
                ] {
                    // As created by a reload.
                    let pair = try TestPair(client, files.serverContext(name))
                    pair.exchange()
                    try TestPair.send([1], from: pair.server, to: pair.client)
                    #expect(pair.client.failure == nil && pair.server.failure == nil)
                    #expect(try pair.server.tls.isResumed == isResumed)
                    #expect(try pair.client.tls.isResumed == isResumed)
                }
                let stricter = try TestPair(client, files.serverContext("other", minimum: .tls13))
                stricter.exchange()
                #expect(try !stricter.server.tls.isResumed)
            }
        }
    }
#endif
