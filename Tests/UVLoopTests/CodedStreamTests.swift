import TestSupport
import Testing
import UVLoop

/// A codec's turn may come when its stream no longer exists.
@Suite struct CodedStreamTests {
    @Test func aStreamThatClosesWithAWriteQueuedIsNotAskedAgain() async throws {
        let listener = try TestListener()
        defer { listener.close() }
        try await onThread {
            let leaver = try Leaver()
            try leaver.start(listener.port)
            leaver.loop.run(leaver)
            try leaver.loop.close()
        }
    }
}

/// Connects, queues a write, closes, and turns once more.
private final class Leaver: LoopScenario {
    private let payload = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 16)

    deinit { payload.deallocate() }

    func start(_ port: Int) throws {
        payload.initializeMemory(as: UInt8.self, repeating: 1)
        let stream = try TCPStream(on: loop, delegate: self)
        try stream.connect(to: SocketAddress(host: .ipv4(0x7f00_0001), port: UInt16(port)))
    }

    override func stream(_ stream: TCPStream, didConnect error: UVError?) {
        do throws(UVError) {
            try stream.install(OddCodec(.byPiece), on: loop)
            try stream.write(UnsafeRawBufferPointer(payload), UnsafeRawBufferPointer(start: nil, count: 0))
        } catch {
            Issue.record(error)
        }
        stream.close()
    }

    override func streamDidClose(_ stream: TCPStream) { loop.setTimer(after: 20) }

    override func loopTimerFired() { loop.finish() }
}
