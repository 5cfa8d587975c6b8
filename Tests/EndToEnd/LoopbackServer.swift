import Glibc
import Locks
import TestSupport
import UVLoop

/// A test's server on one port of 127.0.0.1 and, if available, of ::1, with one thread per connection.
final class LoopbackServer: Sendable {
    private struct State {
        var isStopping = false
        var served = 0
        var threads = 0
        var open: [TestSocket] = []
    }

    private let listeners: [TestListener]
    private let serve: @Sendable (TestSocket) throws -> Void
    private let state = Guarded(State())

    /// - Parameter serve: plays the server on one connection, which is closed afterwards.
    init(serve: @escaping @Sendable (TestSocket) throws -> Void) throws {
        self.serve = serve
        listeners = try Self.listen()
        for listener in listeners { try inThread { $0.acceptAll(from: listener) } }
    }

    var port: Int { listeners[0].port }

    /// The number of connections that have sent something.
    var served: Int { state.withLock { $0.served } }

    /// Ends all connections, and returns when no thread is left.
    func stop() throws {
        state.withLock { state in
            state.isStopping = true
            for socket in state.open { shutdown(socket.descriptor, Int32(SHUT_RDWR)) }
        }
        // Unlike a close, a shutdown wakes the thread that waits in accept(2).
        for listener in listeners { shutdown(listener.descriptor, Int32(SHUT_RDWR)) }
        try eventually("the server's threads have ended") { state.withLock { $0.threads == 0 } }
        for listener in listeners { listener.close() }
    }

    private static func listen() throws -> [TestListener] {
        for _ in 0..<20 {
            let first = try TestListener()
            guard Machine.hasIPv6 else { return [first] }
            if let second = try? TestListener(host: "::1", port: first.port) { return [first, second] }
            first.close()
        }
        throw TestFailure("no port is free on both 127.0.0.1 and ::1")
    }

    private func inThread(_ body: @escaping @Sendable (LoopbackServer) -> Void) throws {
        state.withLock { $0.threads += 1 }
        try LoopThread.start(named: "test server") { [self] in
            body(self)
            state.withLock { $0.threads -= 1 }
        }
    }

    private func acceptAll(from listener: TestListener) {
        while true {
            let socket = try? listener.accept()
            let isStopping = state.withLock { state in
                if let socket { state.open.append(socket) }
                return state.isStopping
            }
            if let socket { start(on: socket, isStopping: isStopping) }
            if isStopping { return }
        }
    }

    private func start(on socket: TestSocket, isStopping: Bool) {
        do {
            if isStopping { return close(socket) }
            try inThread { server in
                defer { server.close(socket) }
                guard socket.hasBytes else { return }
                server.state.withLock { $0.served += 1 }
                try? server.serve(socket)
            }
        } catch {
            close(socket)
        }
    }

    /// Under the lock, so that ``stop()`` never shuts down a descriptor whose number is already in use again.
    private func close(_ socket: TestSocket) {
        state.withLock { state in
            state.open.removeAll { $0 === socket }
            socket.close()
        }
    }
}

extension TestSocket {
    /// Waits for bytes, which stay unread; false if the peer ends before.
    fileprivate var hasBytes: Bool {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, Int32(MSG_PEEK)) == 1
    }
}

extension LoopbackServer {
    /// Returns the bytes that it receives.
    static func echo() throws -> LoopbackServer {
        try LoopbackServer { socket in
            while true {
                let some = try socket.receiveSome()
                if some.isEmpty { return }
                try socket.send(some)
            }
        }
    }

    static func web() throws -> LoopbackServer {
        try LoopbackServer { socket in
            var connection = WebConnection(socket)
            while try connection.serveRequest() {}
        }
    }
}
