import Locks
import TestSupport
import UVLoop

/// A delegate for everything that expects no events; scenarios override the methods that they test.
class LoopScenario: EventLoopDelegate, TCPStreamDelegate {
    let loop: EventLoop

    init() throws {
        loop = try EventLoop(readBudget: 256 << 10)
    }

    func loopWoken() {}
    func loopTimerFired() {}
    func stream(_ stream: TCPStream, didConnect error: UVError?) {}
    func bufferForReading(_ stream: TCPStream) -> UnsafeMutableRawBufferPointer {
        .init(start: nil, count: 0)
    }
    func stream(_ stream: TCPStream, didRead count: Int) {}
    func streamDidEnd(_ stream: TCPStream) {}
    func stream(_ stream: TCPStream, didFail error: UVError) {}
    func streamDidWrite(_ stream: TCPStream) {}
    func streamDidClose(_ stream: TCPStream) {}
}

/// Accepts one connection, reads it to its end, optionally answers, and closes. It records the events.
final class Script: Sendable {
    private struct Diary {
        var events: [String] = []
        var received: [UInt8] = []
    }

    private let diary = Guarded(Diary())
    private let mailbox = Mailbox<Void>()
    private let answerLength: Int
    private let pausesAtFirst: Bool

    var events: [String] { diary.withLock { $0.events } }
    var received: [UInt8] { diary.withLock { $0.received } }

    init(answers: Int, pausesAtFirst: Bool) {
        answerLength = answers
        self.pausesAtFirst = pausesAtFirst
    }

    static func pattern(_ length: Int) -> [UInt8] {
        var random = SeededGenerator(seed: 31)
        return random.bytes(length)
    }

    /// Lets the loop read a connection that was only accepted so far.
    func resume() {
        mailbox.post(())
    }

    /// Runs the loop on a thread until its only connection is closed, with `client` beside it.
    ///
    /// - Parameter whileQueued: called with the port before anything is accepted.
    func run(
        whileQueued: (Int) throws -> Void = { _ in },
        _ client: @escaping @Sendable (Int) throws -> Void
    ) throws {
        let socket = try ListeningSocket(SocketAddress(host: .ipv4(0x7f00_0001), port: 0), [])
        try whileQueued(Int(socket.boundAddress.port))
        let done = Guarded(false)
        try LoopThread.start(named: "script") { [self] in
            do {
                let server = try Server(self)
                try server.serve(socket)
            } catch {
                note("error \(error)")
            }
            done.withLock { $0 = true }
        }
        try client(Int(socket.boundAddress.port))
        try eventually("the loop closes: \(events)") { done.withLock { $0 } }
    }

    private func note(_ event: String) {
        diary.withLock { diary in
            if diary.events.last != event { diary.events.append(event) }
        }
    }

    private final class Server: LoopScenario, TCPListenerDelegate {
        private let script: Script
        private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
        private var answer: UnsafeMutableRawBufferPointer
        private var listener: TCPListener?
        private var stream: TCPStream?

        init(_ script: Script) throws {
            self.script = script
            answer = .allocate(byteCount: script.answerLength, alignment: 16)
            answer.copyBytes(from: Script.pattern(script.answerLength))
            try super.init()
        }

        deinit {
            buffer.deallocate()
            answer.deallocate()
        }

        func serve(_ socket: ListeningSocket) throws {
            listener = try TCPListener(socket, on: loop, delegate: self)
            script.mailbox.open(on: loop)
            loop.run(self)
            try loop.close()
        }

        func listener(
            _ listener: TCPListener,
            didAccept descriptor: consuming AcceptedDescriptor,
            from peer: SocketAddress
        ) {
            script.note("accepted")
            defer { listener.close() }
            // A script has one connection; other queued ones end here.
            guard stream == nil else { return }
            do {
                let stream = try TCPStream(on: loop, delegate: self)
                self.stream = stream
                try stream.adopt(descriptor)
                if !script.pausesAtFirst { try stream.startReading() }
            } catch {
                script.note("\(error)")
            }
        }

        func listener(_ listener: TCPListener, didPauseFor error: UVError) {}
        func listenerDidClose(_ listener: TCPListener) {}

        override func loopWoken() {
            for _ in script.mailbox.takeAll() { try? stream?.startReading() }
        }

        override func bufferForReading(_ stream: TCPStream) -> UnsafeMutableRawBufferPointer { buffer }

        override func stream(_ stream: TCPStream, didRead count: Int) {
            guard count > 0 else { return }
            script.note("read")
            script.diary.withLock { $0.received += buffer[..<count] }
        }

        override func streamDidEnd(_ stream: TCPStream) {
            script.note("ended")
            guard !answer.isEmpty else { return stream.close() }
            do {
                let empty = UnsafeRawBufferPointer(start: nil, count: 0)
                let written = try stream.tryWrite(UnsafeRawBufferPointer(answer), empty)
                let middle = written + (answer.count - written) / 2
                try stream.write(
                    UnsafeRawBufferPointer(rebasing: answer[written..<middle]),
                    UnsafeRawBufferPointer(rebasing: answer[middle...])
                )
            } catch {
                script.note("\(error)")
                stream.close()
            }
        }

        override func streamDidWrite(_ stream: TCPStream) {
            try? stream.shutDown()
            stream.close()
        }

        override func stream(_ stream: TCPStream, didFail error: UVError) {
            script.note("failed \(error)")
            stream.close()
        }

        override func streamDidClose(_ stream: TCPStream) {
            script.note("closed")
            while !script.mailbox.closeIfEmpty() { _ = script.mailbox.takeAll() }
            loop.finish()
        }
    }
}

func withScript(
    answers: Int = 0,
    pausesAtFirst: Bool = false,
    _ body: (Script) throws -> Void
) throws {
    try body(Script(answers: answers, pausesAtFirst: pausesAtFirst))
}
