internal import Locks
public import Logging
internal import SOCKS5Protocol
public import SOCKS5Server
internal import UVLoop

/// Reports the state of a ``ProxyServer`` over HTTP, and accepts commands for it.
///
/// ```swift
/// let admin = try AdminServer(server, configuration: AdminConfiguration(address: .unix(path: path)))
/// try await admin.start()
/// ```
///
/// Serves in a thread of its own, without taking time from the workers, from ``start()`` until ``stop()``. It can be
/// started only once. It may start before the proxy does; until the proxy serves, `/readyz` says so. Every method may
/// be called at any time, from any thread.
public final class AdminServer: Sendable {
    private enum Stage {
        case idle
        case running(AdminSocket, Mailbox<AdminLoop.Command>, history: Task<Void, Never>)
        case ended
    }

    private struct State {
        var stage = Stage.idle
        var hasEnded = false
        /// Whether another process listens in this one's place.
        var isHandedOver = false
        var awaitingEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let configuration: AdminConfiguration
    private let context: AdminContext
    private let state = Guarded(State())
    private let token: Guarded<AdminToken?>

    /// Opens nothing yet.
    ///
    /// - Parameters:
    ///   - actions: the actions that the program supports.
    ///   - logger: receives each requested change at `notice`, and problems at `warning`.
    /// - Throws: ``AdminError/Code/openToNetwork``.
    public init(
        _ server: ProxyServer,
        configuration: AdminConfiguration,
        actions: AdminActions = AdminActions(),
        logger: Logger = Logger(label: "socks5d")
    ) throws(AdminError) {
        try configuration.validate()
        self.configuration = configuration
        token = Guarded(configuration.token)
        context = AdminContext(
            server: server,
            actions: actions,
            process: ServedProcess(),
            takeOvers: TakeOvers(),
            history: HistoryKeeper(),
            logger: logger,
            version: configuration.version,
            logLinesDropped: configuration.logLinesDropped
        )
    }

    /// The address that it listens on, with the port that the system chose; `nil` before ``start()``.
    public var boundAddress: AdminAddress? {
        state.withLock { state in
            if case .running(let socket, _, _) = state.stage { socket.address } else { nil }
        }
    }

    /// From now on clients need this token. A server without a token can get one, but can never lose it again.
    public func use(_ token: AdminToken) {
        self.token.withLock { $0 = token }
    }

    /// Listens, and starts to serve.
    ///
    /// - Throws: ``AdminError/Code/cannotListen``, ``AdminError/Code/systemFailure``,
    ///   ``AdminError/Code/alreadyStarted``.
    public func start() throws(AdminError) {
        try start(on: nil)
    }

    /// Listens on a socket of another process instead of opening one.
    ///
    /// - Parameter descriptor: owned by this object from now on, even if this throws.
    package func start(onDescriptor descriptor: Int32) throws(AdminError) {
        let socket: ListeningSocket
        do throws(UVError) {
            socket = try ListeningSocket(adopting: descriptor, isKept: false)
        } catch {
            ListeningSocket.close(descriptor)
            throw AdminError(.cannotListen, "the admin server's socket can't be taken over: \(error)")
        }
        try start(on: socket)
    }

    /// - Parameter handed: if `nil`, it opens a socket.
    private func start(on handed: ListeningSocket?) throws(AdminError) {
        try state.withLock { state throws(AdminError) in
            guard case .idle = state.stage else {
                throw AdminError(.alreadyStarted, "an admin server starts once; this one has started")
            }
            let address = configuration.address
            let socket = if let handed { AdminSocket(address, handed) } else { try AdminSocket(address) }
            let mailbox = Mailbox<AdminLoop.Command>()
            do throws(UVError) {
                try LoopThread.start(named: "socks5d-admin", atLowPriority: false) { [self] in
                    AdminLoop.serve(socket, mailbox, context, configuration.limits) { [token] in
                        token.withLock { $0 }
                    }
                    threadDidEnd()
                }
            } catch {
                if handed == nil { socket.removeFile() }
                socket.socket.close()
                throw AdminError(.systemFailure, "the thread of the admin server can't start: \(error)")
            }
            context.takeOvers.open {
                await withCheckedContinuation { done in
                    let isAsked = mailbox.post(.copyListener { done.resume(returning: $0) })
                    if !isAsked { done.resume(returning: nil) }
                }
            }
            state.stage = .running(
                socket,
                mailbox,
                history: Task { [context] in await context.history.run(context.server) }
            )
        }
    }

    /// Another process takes over: stops listening, and leaves the file of a unix socket to that process. Connections
    /// stay until ``stop()``.
    public func leave() {
        state.withLock { state in
            state.isHandedOver = true
            if case .running(_, let mailbox, _) = state.stage { mailbox.post(.leave) }
        }
    }

    /// Stops listening and ends all connections. A request in progress gets its answer first, within 2 s. Returns when
    /// everything has ended.
    public func stop() async {
        let mailbox: Mailbox<AdminLoop.Command>? = state.withLock { state in
            defer { state.stage = .ended }
            switch state.stage {
            case .idle, .ended:
                return nil
            case .running(let socket, let mailbox, let history):
                history.cancel()
                // Another process may be listening through this file.
                if !state.isHandedOver, !context.takeOvers.haveBegun { socket.removeFile() }
                return mailbox
            }
        }
        guard let mailbox else { return }
        mailbox.post(.stop)
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if !state.hasEnded { state.awaitingEnd.append(continuation) }
                return state.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
    }

    private func threadDidEnd() {
        let awaiting = state.withLock { state in
            state.hasEnded = true
            defer { state.awaitingEnd = [] }
            return state.awaitingEnd
        }
        for continuation in awaiting { continuation.resume() }
    }
}
