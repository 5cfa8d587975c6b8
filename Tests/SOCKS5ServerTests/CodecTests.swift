import Glibc
import Locks
import ProxyPolicy
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing
import UVLoop

/// Sessions whose client uses a codec: for all others they look the same as without.
@Suite struct CodecTests {
    @Test(arguments: OddCodec.Style.allCases)
    func everythingThatGoesThroughACodecArrives(_ style: OddCodec.Style) async throws {
        try await withCodec(style) { port in
            let listener = try TestListener()
            defer { listener.close() }
            for round in 0..<20 {
                var random = SeededGenerator(seed: UInt64(round))
                let there = random.bytes(Int(random.next() % 300_000))
                let back = random.bytes(Int(random.next() % 300_000))
                let (client, target) = try oddTunnel(through: port, to: listener, style)
                let sender = TestThread {
                    try target.send(back)
                    target.endSending()
                }
                let echo = TestThread {
                    let got = try target.receive(there.count)
                    guard got == there else { throw TestFailure("other bytes at the target") }
                }
                try client.send(there)
                #expect(try client.receiveToEnd() == back)
                try sender.join()
                try echo.join()
                client.socket.close()
                target.close()
            }
        }
    }

    @Test(arguments: OddCodec.Style.allCases)
    func theWireMayBeSplitAnywhere(_ style: OddCodec.Style) async throws {
        try await withCodec(style) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let message = SeededGenerator.pattern(700)
            let lengths = [1, 2, 3, 5, 64, 509]
            for length in lengths {
                let (client, target) = try oddTunnel(through: port, to: listener, style, split: length)
                let wire = try client.encoded(message)
                for start in stride(from: 0, to: wire.count, by: length) {
                    try client.socket.send(Array(wire[start..<min(start + length, wire.count)]))
                }
                #expect(try target.receive(message.count) == message)
                try target.send(message)
                #expect(try client.receive(message.count) == message)
                client.socket.close()
                try target.waitForClose()
                target.close()
            }
        }
    }

    @Test(arguments: OddCodec.Style.allCases)
    func theClientMayEndItsDirectionFirst(_ style: OddCodec.Style) async throws {
        try await withCodec(style) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let (client, target) = try oddTunnel(through: port, to: listener, style)
            let (question, answer) = (SeededGenerator.pattern(99_000), SeededGenerator.pattern(5 << 20))
            try client.send(question)
            try client.endSending()
            #expect(try target.receiveToEnd() == question)
            let sender = TestThread {
                try target.send(answer)
                target.endSending()
            }
            #expect(try client.receiveToEnd() == answer)
            try sender.join()
            client.socket.close()
            target.close()
        }
    }

    @Test(arguments: OddCodec.Style.allCases)
    func theTargetMayEndItsDirectionFirst(_ style: OddCodec.Style) async throws {
        try await withCodec(style) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let (client, target) = try oddTunnel(through: port, to: listener, style)
            target.endSending()
            #expect(try client.receiveToEnd().isEmpty)
            let late = SeededGenerator.pattern(3 << 20)
            let reader = TestThread {
                let got = try target.receiveToEnd()
                guard got == late else { throw TestFailure("\(got.count) bytes at the target") }
            }
            try client.send(late)
            try client.endSending()
            try reader.join()
            try client.socket.waitForClose()
            client.socket.close()
            target.close()
        }
    }

    @Test func anEndOfTheWireBetweenTwoFramesIsAnEnd() async throws {
        try await withCodec(.byFrame) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let (client, target) = try oddTunnel(through: port, to: listener, .byFrame)
            try client.send([1, 2, 3])
            client.socket.endSending()
            #expect(try target.receiveToEnd() == [1, 2, 3])
            client.socket.close()
            target.close()
        }
    }

    @Test(arguments: OddCodec.Style.allCases)
    func aWireCutInAFrameIsNoEnd(_ style: OddCodec.Style) async throws {
        let sessions = RecordedSessions()
        try await withCodec(style, { $0.observer = sessions }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let (client, target) = try oddTunnel(through: port, to: listener, style)
            try client.socket.send(client.encoded([1, 2]).dropLast())
            client.socket.endSending()
            try target.expectReset()
            client.socket.close()
            target.close()
            let info = try sessions.next(after: 0)
            #expect(info.outcome == .tlsFailed && info.reason == "cut in a frame" && info.endedBy == .client)
        }
    }

    @Test(arguments: OddCodec.Style.allCases)
    func bytesThatMakeNoSenseEndTheSession(_ style: OddCodec.Style) async throws {
        let sessions = RecordedSessions()
        try await withCodec(style, { $0.observer = sessions }) { port in
            let listener = try TestListener()
            defer { listener.close() }
            // Instead of the hello, instead of the greeting, and instead of payload.
            let plain = try TestSocket(connectingTo: port)
            try plain.send([5, 1, 0])
            #expect(try plain.receiveToEnd() == Array("odd".utf8) + [0, 0, 0, 0x5a])
            plain.close()
            #expect(try sessions.next(after: 0).outcome == .tlsFailed)

            let greeting = try OddSocket(TestSocket(connectingTo: port), style)
            try greeting.socket.send([240, 2, 3, 4])
            try greeting.socket.waitForClose()
            greeting.socket.close()
            #expect(try sessions.next(after: 1).reason == "a broken frame")

            let (client, target) = try oddTunnel(through: port, to: listener, style)
            try client.send([7])
            #expect(try target.receive(1) == [7])
            try client.socket.send([240, 2, 3, 4])
            try target.expectReset()
            client.socket.close()
            target.close()
            #expect(try sessions.next(after: 2).outcome == .tlsFailed)
        }
    }

    /// The codec answers by itself, even while the socket accepts nothing; too much of that ends the session.
    @Test(arguments: OddCodec.Style.allCases)
    func messagesOfTheCodecDontMixWithPayload(_ style: OddCodec.Style) async throws {
        try await withCodec(style) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let (client, target) = try oddTunnel(through: port, to: listener, style, receiveBuffer: 4096)
            let bytes = SeededGenerator.pattern(8 << 20)
            let sender = TestThread {
                try target.send(bytes)
                target.endSending()
            }
            try eventually("a full socket") { client.socket.isReadable(atLeast: 2048) }
            for _ in 0..<1000 { try client.socket.send(OddCodec.pingFrame) }
            #expect(try client.receiveToEnd() == bytes)
            try sender.join()
            client.socket.close()
            target.close()

            let (flood, silent) = try oddTunnel(through: port, to: listener, style, receiveBuffer: 4096)
            let block = SeededGenerator.pattern(1 << 20)
            let stuffer = TestThread { while (try? silent.send(block)) != nil {} }
            try eventually("a full socket") { flood.socket.isReadable(atLeast: 2048) }
            let pings = (0..<1000).flatMap { _ in OddCodec.pingFrame }
            while (try? flood.socket.send(pings)) != nil {}
            try stuffer.join()
            flood.socket.close()
            silent.close()
        }
    }

    /// A peer that reads nothing makes only its own source wait, and takes no memory beyond the common
    /// budget.
    @Test(arguments: OddCodec.Style.allCases)
    func aStalledClientHoldsItsTargetUp(_ style: OddCodec.Style) async throws {
        let memory = 2 << 20
        try await withCodecObject(style, { $0.bufferMemory = memory }) { server, port in
            let listener = try TestListener()
            defer { listener.close() }
            let bytes = SeededGenerator.pattern(4 << 20)
            let pairs = try (0..<20).map { _ in
                try oddTunnel(through: port, to: listener, style, receiveBuffer: 4096)
            }
            let senders = pairs.map { _, target in
                TestThread {
                    try target.send(bytes)
                    target.endSending()
                }
            }
            for (client, _) in pairs {
                try eventually("a full client") { client.socket.isReadable(atLeast: 2048) }
            }
            #expect(server.metrics().bufferBytes <= UInt64(memory))
            // Beside them, a client that reads.
            let (healthy, target) = try oddTunnel(through: port, to: listener, style)
            let sender = TestThread { try target.send(bytes) }
            #expect(try healthy.receive(bytes.count) == bytes)
            try sender.join()
            for (client, _) in pairs { client.socket.enlargeReceiveBuffer() }
            for (client, _) in pairs { #expect(try client.receiveToEnd() == bytes) }
            for sender in senders { try sender.join() }
            for (client, target) in pairs + [(healthy, target)] {
                client.socket.close()
                target.close()
            }
        }
    }

    @Test(arguments: OddCodec.Style.allCases)
    func aStalledTargetHoldsItsClientUp(_ style: OddCodec.Style) async throws {
        try await withCodec(style) { port in
            let listener = try TestListener(receiveBuffer: 4096)
            defer { listener.close() }
            let (client, target) = try oddTunnel(through: port, to: listener, style)
            let bytes = SeededGenerator.pattern(20 << 20)
            let sender = TestThread { try client.send(bytes) }
            try eventually("a full target") { target.isReadable(atLeast: 1024) }
            // Through a window of 4 KiB the rest would take a minute.
            target.enlargeReceiveBuffer()
            #expect(try target.receive(bytes.count) == bytes)
            try sender.join()
            client.socket.close()
            target.close()
        }
    }

    @Test(arguments: OddCodec.Style.allCases)
    func aResetPassesThrough(_ style: OddCodec.Style) async throws {
        try await withCodec(style) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let (first, firstTarget) = try oddTunnel(through: port, to: listener, style)
            firstTarget.reset()
            try first.socket.expectReset()
            first.socket.close()
            let (second, secondTarget) = try oddTunnel(through: port, to: listener, style)
            second.socket.reset()
            try secondTarget.expectReset()
            secondTarget.close()
        }
    }

    @Test(arguments: OddCodec.Style.allCases)
    func aBandwidthHoldsForThePayload(_ style: OddCodec.Style) async throws {
        let configure = { (configuration: inout Configuration) in
            configuration.limits.bandwidthPerConnection = 2 << 20
        }
        try await withCodec(style, configure) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let (client, target) = try oddTunnel(through: port, to: listener, style)
            let bytes = SeededGenerator.pattern(5 << 20)
            let sender = TestThread { try client.send(bytes) }
            let began = ContinuousClock.now
            #expect(try target.receive(bytes.count) == bytes)
            // The bytes of one second may come at once.
            #expect(began.duration(to: .now) > .seconds(1))
            try sender.join()
            client.socket.close()
            target.close()
        }
    }

    @Test(arguments: OddCodec.Style.allCases)
    func aHeaderStandsBeforeTheCodec(_ style: OddCodec.Style) async throws {
        let sessions = RecordedSessions()
        let configure = { (configuration: inout Configuration) in
            configuration.observer = sessions
            configuration.isOpen = true
            configuration.destinationGuard.mode = .off
            configuration.listeners[0].proxyProtocol = [IPNetwork(.ipv4(IPv4Address(127, 0, 0, 1)))]
        }
        try await withCodec(style, configure) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let header = Array("PROXY TCP4 203.0.113.7 192.0.2.1 1234 1080\r\n".utf8)
            for isInOnePiece in [true, false] {
                let socket = try TestSocket(connectingTo: port)
                try socket.send(isInOnePiece ? header + Array("odd".utf8) : header)
                let client = try OddSocket(socket, style, hasSaidHello: isInOnePiece)
                #expect(try client.request(to: .loopback(listener.port)) == .succeeded)
                let target = try listener.accept()
                try client.send([1])
                #expect(try target.receive(1) == [1])
                client.socket.close()
                target.close()
                let info = try sessions.next(after: isInOnePiece ? 0 : 1)
                #expect(info.client.address?.description == "203.0.113.7" && info.outcome == .completed)
            }
        }
    }

    /// The connection moves to the worker that has the port, together with its codec.
    @Test(arguments: OddCodec.Style.allCases)
    func anAssociationAtASharedPortKeepsItsCodec(_ style: OddCodec.Style) async throws {
        let configure = { (configuration: inout Configuration) in
            configuration.workers = 2
            configuration.udp.ports = PortRange(UInt16(TestListener.unusedPort()))
        }
        try await withCodec(style, configure) { port in
            for _ in 0..<8 {
                let client = try OddSocket(TestSocket(connectingTo: port), style)
                let reply = try client.request(to: .unspecified, .udpAssociate)
                #expect(reply == .succeeded)
                try client.endSending()
                #expect(try client.receiveToEnd().isEmpty)
                client.socket.close()
            }
        }
    }

    @Test func aProvenClientNeedsNoLogin() async throws {
        let sessions = RecordedSessions()
        let configure = { (configuration: inout Configuration) in
            configuration.observer = sessions
            configuration.users = [ProxyUser(name: "ann", password: "hunter2")]
            configuration.listeners[0].codecs = OddCodecs(.byPiece, peerName: Array("ann".utf8))
        }
        try await withCodec(.byPiece, configure) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let (client, target) = try oddTunnel(through: port, to: listener, .byPiece)
            client.socket.close()
            target.close()
            let info = try sessions.next(after: 0)
            #expect(info.user == Array("ann".utf8) && info.method == .certificate)
        }
    }

    @Test func aRefusalIsReadThroughTheCodec() async throws {
        try await withCodec(.byFrame, { $0.rules = [Rule(.deny)] }) { port in
            let client = try OddSocket(TestSocket(connectingTo: port), .byFrame)
            #expect(try client.request(to: .loopback(9)) == .notAllowed)
            #expect(try client.receiveToEnd().isEmpty)
            client.socket.close()
        }
    }

    @Test(.disabled(if: isQuick)) func aGibibyteGoesThroughACodecWholly() async throws {
        try await withCodec(.byPiece) { port in
            let listener = try TestListener()
            defer { listener.close() }
            let (client, target) = try oddTunnel(through: port, to: listener, .byPiece)
            let (size, pattern) = (512 << 20, RepeatingPattern(seed: 5))
            let sender = TestThread {
                try pattern.forEach(size) { try client.send($0) }
                try client.endSending()
            }
            let download = TestThread {
                try pattern.send(size, over: target)
                target.endSending()
            }
            let upload = TestThread { try pattern.expect(size, from: { try target.receiveSome(1 << 18) }) }
            try pattern.expect(size, from: { try client.receiveSome() })
            for thread in [sender, download, upload] { try thread.join() }
            client.socket.close()
            target.close()
        }
    }
}
