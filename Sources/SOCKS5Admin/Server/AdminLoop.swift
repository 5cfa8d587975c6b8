internal import Glibc
internal import Logging
internal import SOCKS5Protocol
internal import SOCKS5Server
internal import UVLoop

/// The loop of the admin server: accepts its clients, and owns their connections.
///
/// - Isolation: its own thread, except for the mailbox. Handlers run in tasks of their own, and answer through the
///   mailbox.
final class AdminLoop {
    enum Command: Sendable {
        /// The answer to the request of a connection.
        case answered(connection: UInt64, Response)
        /// Another process has the listening socket now. Connections stay.
        case leave
        /// Asks for a copy of the listening socket, if it listens.
        case copyListener(@Sendable (ListeningSocket?) -> Void)
        case stop
    }

    let loop: EventLoop
    let limits: HTTPLimits
    private let mailbox: Mailbox<Command>
    private let context: AdminContext
    private let address: AdminAddress
    private let token: @Sendable () -> AdminToken?
    private let router = Router()
    private var listener: TCPListener?
    private var connections: [UInt64: AdminConnection] = [:]
    private var lastConnection: UInt64 = 0
    /// Bytes of answers that wait to be read.
    private var waitingBytes = 0
    private var timer: UInt64?
    private var acceptRetry: UInt64?
    private var refusals = RateLimit()
    private var isStopping = false
    private var isFinished = false
    /// The memory that all connections read into.
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)

    /// Serves until ``Command/stop``, and owns the socket from then on.
    static func serve(
        _ socket: AdminSocket,
        _ mailbox: Mailbox<Command>,
        _ context: AdminContext,
        _ limits: HTTPLimits,
        token: @escaping @Sendable () -> AdminToken?
    ) {
        let server: AdminLoop
        do throws(UVError) {
            server = try AdminLoop(socket.address, mailbox, context, limits, token)
        } catch {
            socket.socket.close()
            context.logger.error("the admin server can't start", metadata: ["error": "\(error)"])
            return
        }
        server.run(socket.socket)
    }

    private init(
        _ address: AdminAddress,
        _ mailbox: Mailbox<Command>,
        _ context: AdminContext,
        _ limits: HTTPLimits,
        _ token: @escaping @Sendable () -> AdminToken?
    ) throws(UVError) {
        loop = try EventLoop(readBudget: 64 << 10)
        self.address = address
        self.mailbox = mailbox
        self.context = context
        self.limits = limits
        self.token = token
    }

    deinit {
        room.deallocate()
    }

    private func run(_ socket: ListeningSocket) {
        do throws(UVError) {
            listener = try TCPListener(socket, on: loop, delegate: self)
        } catch {
            context.logger.error("the admin server can't listen", metadata: ["error": "\(error)"])
        }
        mailbox.open(on: loop)
        loop.run(self)
        do {
            try loop.close()
        } catch {
            preconditionFailure("a handle is open behind the end of the loop: \(error)")
        }
    }

    // MARK: - From the connections

    /// Answers the request by ``AdminConnection/answer(_:)``, at once or later, unless the connection has ended.
    func serve(_ request: Request, of connection: AdminConnection) {
        switch router.decide(request, access(of: connection)) {
        case .answer(let response):
            if [401, 403].contains(response.status) { noteRefusal(request, response, of: connection) }
            connection.answer(bounded(response))
        case .run(let route, let arguments):
            let (number, client, mailbox, context) = (connection.number, connection.client, mailbox, context)
            Task {
                let response = await route.answer(request, arguments, context)
                if route.kind == .changing { context.note(request, response, by: client) }
                mailbox.post(.answered(connection: number, response))
            }
        }
    }

    private func noteRefusal(_ request: Request, _ response: Response, of connection: AdminConnection) {
        guard let refused = refusals.count(now: loop.now) else { return }
        context.noteRefusal(request, response, by: connection.client, refused)
    }

    private func access(of connection: AdminConnection) -> Access {
        switch address {
        case .unix: return Access(place: .unix, token: nil)
        case .tcp(let listen):
            let addresses = [listen, connection.localAddress].compactMap(\.self).map {
                HostAndPort(host: $0.host, port: UInt16($0.port))
            }
            return Access(place: .tcp(addresses: addresses), token: token())
        }
    }

    /// Limits the memory of all answers together, so that slow readers of large answers can't use more. Short answers
    /// always fit: the server's health, and the result of a command.
    private func bounded(_ response: Response) -> Response {
        response.body.count <= limits.shortAnswer
            || waitingBytes + response.body.count <= limits.waitingAnswers
            ? response
            : Response(503, "too many answers wait to be read; try again").adding("Retry-After", "5")
    }

    func holdBytes(_ count: Int) { waitingBytes += count }
    func releaseBytes(_ count: Int) { waitingBytes -= count }

    /// Something may be due at this time, in milliseconds on the loop's clock.
    func wake(at time: UInt64) {
        guard time < timer ?? .max else { return }
        timer = time
        loop.setTimer(after: time > loop.now ? time - loop.now : 0)
    }

    func connectionDidClose(_ connection: AdminConnection) {
        connections[connection.number] = nil
        if acceptRetry != nil { resumeListening() }
        finishIfStopped()
    }

    // MARK: - Stop

    private func stop() {
        guard !isStopping else { return }
        isStopping = true
        listener?.close()
        for connection in connections.values { connection.end() }
    }

    private func finishIfStopped() {
        guard isStopping, !isFinished, listener == nil, connections.isEmpty, mailbox.closeIfEmpty() else {
            return
        }
        isFinished = true
        loop.finish()
    }

    private func resumeListening() {
        acceptRetry = nil
        if !isStopping { listener?.resume() }
    }
}

extension AdminLoop: EventLoopDelegate {
    func loopWoken() {
        for command in mailbox.takeAll() {
            switch command {
            case .answered(let number, let response): connections[number]?.answer(bounded(response))
            case .leave: listener?.close(.handedOver)
            case .copyListener(let answer): answer(try? listener?.duplicated())
            case .stop: stop()
            }
        }
        finishIfStopped()
    }

    func loopTimerFired() {
        timer = nil
        let now = loop.now
        for connection in connections.values { connection.look(at: now) }
        if let retry = acceptRetry {
            if retry <= now { resumeListening() } else { wake(at: retry) }
        }
    }
}

extension AdminLoop: TCPListenerDelegate {
    func listener(
        _ listener: TCPListener,
        didAccept descriptor: consuming AcceptedDescriptor,
        from peer: SocketAddress
    ) {
        // A connection that isn't accepted here is closed.
        guard !isStopping, makeRoom() else { return }
        lastConnection += 1
        do throws(UVError) {
            let client = address.isUnix ? "unix" : "\(peer)"
            let connection = try AdminConnection(self, lastConnection, client: client)
            connections[lastConnection] = connection
            connection.open(descriptor)
        } catch {
            context.logger.warning("the admin server can't take a client", metadata: ["error": "\(error)"])
        }
    }

    /// - Returns: false if all connections are busy.
    private func makeRoom() -> Bool {
        guard connections.count >= limits.connections else { return true }
        // Several may have become idle within one millisecond.
        let longest = connections.values.filter(\.isIdle).min {
            ($0.idleSince, $0.number) < ($1.idleSince, $1.number)
        }
        guard let longest else { return false }
        longest.close()
        return true
    }

    /// Accepting continues when a connection has ended, or after a second.
    func listener(_ listener: TCPListener, didPauseFor error: UVError) {
        acceptRetry = loop.now + 1000
        wake(at: loop.now + 1000)
    }

    func listenerDidClose(_ listener: TCPListener) {
        self.listener = nil
        finishIfStopped()
    }
}
