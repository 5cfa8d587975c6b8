import Glibc
import Locks
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing
import UVLoop

@Suite struct RelayTests {
    private static let megabytes = pattern(10 << 20)

    private static func pattern(_ count: Int) -> [UInt8] {
        var random = SeededGenerator(seed: 27)
        return random.bytes(count)
    }

    @Test func theTargetEndsFirstAndTheClientStillReachesIt() async throws {
        try await withRelay { client in
            #expect(try client.receiveToEnd() == Self.megabytes)
            try client.send(Self.megabytes)
            client.endSending()
        } target: { target in
            try target.send(Self.megabytes)
            target.endSending()
            #expect(try target.receiveToEnd() == Self.megabytes)
        }
    }

    @Test func theClientEndsFirstAndTheTargetStillAnswersLater() async throws {
        try await withRelay { client in
            try client.send(Self.megabytes)
            client.endSending()
            #expect(try client.receiveToEnd() == Self.megabytes)
        } target: { target in
            #expect(try target.receiveToEnd() == Self.megabytes)
            sleep(1)
            try target.send(Self.megabytes)
        }
    }

    @Test func aResetOfTheTargetIsAResetForTheClient() async throws {
        try await withRelay { client in
            try client.send([1])
            try client.expectReset()
        } target: { target in
            _ = try target.receive(1)
            target.reset()
        }
    }

    @Test func aResetOfTheClientIsAResetForTheTarget() async throws {
        try await withRelay { client in
            _ = try client.receive(1)
            client.reset()
        } target: { target in
            try target.send([1])
            try target.expectReset()
        }
    }

    @Test func aResetAfterBytesInFlightIsStillAReset() async throws {
        try await withRelay { client in
            try client.expectReset()
        } target: { target in
            try target.send(Self.megabytes)
            target.reset()
        }
    }

    @Test func bytesAndNoBytesInSmallPiecesArrive() async throws {
        try await withRelay { client in
            for byte in UInt8(0)..<200 {
                try client.send([byte])
                try client.send([])
                #expect(try client.receive(1) == [byte ^ 0xff])
            }
        } target: { target in
            for byte in UInt8(0)..<200 {
                #expect(try target.receive(1) == [byte])
                try target.send([byte ^ 0xff])
            }
        }
    }

    @Test func bothWaysAtOnceArriveWhole() async throws {
        try await exchange(bytes: 64 << 20)
    }

    @Test(.enabled(if: !isQuick, "1 GiB each way is left out of quick runs"))
    func aGibibyteEachWayAtOnceArrivesWhole() async throws {
        try await exchange(bytes: 1 << 30)
    }

    /// Both sides send and receive at the same time; hashes must match.
    private func exchange(bytes: Int) async throws {
        try await withRelay { client in
            try Self.exchange(client, bytes, sendSeed: 1, receiveSeed: 2)
        } target: { target in
            try Self.exchange(target, bytes, sendSeed: 2, receiveSeed: 1)
        }
    }

    private static func exchange(
        _ socket: TestSocket,
        _ bytes: Int,
        sendSeed: UInt64,
        receiveSeed: UInt64
    ) throws {
        let sent = Guarded<Result<Void, any Error>?>(nil)
        Thread.run {
            let result = Result {
                try RepeatingPattern(seed: sendSeed).send(bytes, over: socket)
                socket.endSending()
            }
            sent.withLock { $0 = result }
        }
        let expected = RepeatingPattern(seed: receiveSeed)
        var offset = 0
        while true {
            let some = try socket.receiveSome(1 << 20)
            if some.isEmpty { break }
            guard expected.matches(some, at: offset) else { throw TestFailure("bytes differ at \(offset)") }
            offset += some.count
        }
        #expect(offset == bytes)
        try eventually("all is sent") { sent.withLock { $0 != nil } }
        try sent.withLock { $0 }?.get()
    }

    @Test func anIdleSessionIsReset() async throws {
        try await withRelay({ $0.timeouts.idle = .milliseconds(300) }) { client in
            try client.expectReset()
        } target: { target in
            try target.expectReset()
        }
    }

    @Test func trafficOneWayKeepsASession() async throws {
        try await withRelay({ $0.timeouts.idle = .seconds(2) }) { client in
            for _ in 0..<12 {
                try client.send([1])
                usleep(250_000)
            }
            client.endSending()
            #expect(try client.receiveToEnd() == [2])
        } target: { target in
            #expect(try target.receiveToEnd().count == 12)
            try target.send([2])
        }
    }

    @Test func aHalfClosedSessionHasAShorterLimit() async throws {
        let configure = { (configuration: inout Configuration) in
            configuration.timeouts.halfClosed = .milliseconds(300)
        }
        try await withRelay(configure) { client in
            client.endSending()
            try client.expectReset()
        } target: { target in
            #expect(try target.receiveToEnd() == [])
            try eventually("the target is reset") { target.isReset }
        }
    }

    @Test func bothSidesHaveKeepalive() async throws {
        try await withRelay { client in
            try eventually("keepalive at the client") { try hasKeepaliveTimer(port: client.localPort) }
            try client.send([1])
            _ = try client.receiveToEnd()
        } target: { target in
            _ = try target.receive(1)
            try eventually("keepalive at the target") { try hasKeepaliveTimer(port: target.peerPort) }
        }
    }

    /// Whether the timer of a connection of the port is keepalive's, which /proc/net/tcp shows as `02`.
    private func hasKeepaliveTimer(port: Int) throws -> Bool {
        let hexadecimal = String(port, radix: 16, uppercase: true)
        let ending = ":" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
        return try readFile("/proc/net/tcp").split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            return fields.count > 5 && (fields[1].hasSuffix(ending) || fields[2].hasSuffix(ending))
                && fields[5].hasPrefix("02:")
        }
    }

    @Test func manySessionsAtOnceDoNotMixTheirBytes() async throws {
        try await withServer { port in
            let listener = try TestListener()
            defer { listener.close() }
            let sockets = try (0..<100).map { _ in
                try (TestSocket.tunnel(through: port, to: .loopback(listener.port)), listener.accept())
            }
            for (index, (client, target)) in sockets.enumerated() {
                try client.send([UInt8(index)])
                try target.send([UInt8(index), 1])
            }
            for (index, (client, target)) in sockets.enumerated() {
                #expect(try target.receive(1) == [UInt8(index)])
                #expect(try client.receive(2) == [UInt8(index), 1])
                client.close()
                target.close()
            }
        }
    }
}

private enum Thread {
    static func run(_ body: @escaping @Sendable () -> Void) {
        Task { try await onThread { body() } }
    }
}
