internal import Locks
public import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// A SOCKS5 server (RFC 1928, 1929).
///
/// ```swift
/// let server = try ProxyServer()
/// try await server.run()
/// ```
///
/// Serves in threads of its own, one a worker, from ``start()`` until ``stop(grace:)``; once in its life. May
/// be used from any thread. Installs no signal handler.
public final class ProxyServer: Sendable {
    private struct State {
        var hasStarted = false
        var mailboxes: [Mailbox<Worker.Command>] = []
        var counters: [Counters] = []
        var boundAddresses: [ListenAddress] = []
        var running = 0
        var quotas: Task<Void, Never>?
        var awaitingEnd: [CheckedContinuation<Void, Never>] = []
    }

    /// What is served, and by which policy.
    private struct Service {
        var configuration: Configuration
        let listeners: [SocketAddress]
        let context: ServerContext
        var policy: Policy
    }

    private let configuration: Configuration
    private let logger: Logger
    private let hashThreads = HashThreads()
    private let state = Guarded(State())
    /// `nil` until the server has started; held by a reload.
    private let service = Guarded<Service?>(nil)

    /// The threads that serve.
    public let workers: Int
    /// Sessions at once, over all workers.
    public let maxConnections: Int

    /// The version of libuv in use, as `1.44.2`.
    public static var libuvVersion: String { UVLoop.libuvVersion }

    /// Checks the configuration; nothing is opened yet. The soft limit of descriptors is raised to the hard one.
    ///
    /// - Parameters:
    ///   - configuration: what to serve, to whom; a part of it can be changed by ``reload(_:)``.
    ///   - logger: told of sessions at `info`, of trouble at `warning` and above; never of secrets.
    /// - Throws: ``ProxyServerError/Code/invalidConfiguration``, ``ProxyServerError/Code/openToNetwork``.
    public init(
        configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "socks5d")
    ) throws(ProxyServerError) {
        try configuration.validate()
        self.configuration = configuration
        self.logger = logger
        workers = configuration.workers ?? LoopThread.availableCores
        let allowed = ConnectionLimit.allowedByDescriptors(
            workers: workers,
            listeners: configuration.listen.count
        )
        maxConnections = min(configuration.maxConnections ?? allowed, allowed)
    }

    /// The addresses that are listened on, with the ports the system chose; empty before ``start()``.
    public var boundAddresses: [ListenAddress] { state.withLock { $0.boundAddresses } }

    /// What has been counted so far.
    public var statistics: Statistics { Statistics(state.withLock { $0.counters }) }

    /// What each worker has counted so far.
    package var statisticsOfWorkers: [Statistics] {
        state.withLock { $0.counters }.map { Statistics([$0]) }
    }

    /// Reads what ``start()`` would read, and changes nothing.
    package func checkFiles() throws(ProxyServerError) {
        guard let path = configuration.limits.quotaFile else { return }
        _ = try QuotaKeeper(path, AccountTable { _ in }, logger)
    }

    /// Listens and begins to serve; returns when clients can connect. At most once.
    ///
    /// - Throws: ``ProxyServerError/Code/addressInUse`` and what else binding, or starting a thread, fails with.
    public func start() async throws(ProxyServerError) {
        let isFirst = state.withLock { state in
            defer { state.hasStarted = true }
            return !state.hasStarted
        }
        precondition(isFirst, "a server is started once")
        let accounts = AccountTable { [state] account in
            for mailbox in state.withLock({ $0.mailboxes }) { mailbox.post(.quotaEnded(account)) }
        }
        let keeper = try configuration.limits.quotaFile.map { path throws(ProxyServerError) in
            try QuotaKeeper(path, accounts, logger)
        }
        try configuration.egress.probe()
        try configuration.probeEgressOfUsers()
        let listening = try ListeningSet(configuration, workers: workers)
        let context = ServerContext(
            configuration,
            crew: Crew(workers: workers),
            limit: ConnectionLimit(maximum: maxConnections),
            accounts: accounts,
            logger: logger
        )
        let policy = Policy(configuration, listeners: listening.boundAddresses, hashThreads)
        state.withLock { state in
            state.boundAddresses = listening.boundAddresses.map { ListenAddress($0) }
            state.quotas = keeper.map { keeper in Task { await keeper.run() } }
        }
        for (index, sockets) in listening.sockets.enumerated() {
            do throws(UVError) {
                try await startWorker(index, sockets, context, policy)
            } catch {
                for unused in listening.sockets[index...].joined() { unused.close() }
                await stop(grace: .zero)
                throw ProxyServerError(.systemFailure, "worker \(index) can't start: \(error)")
            }
        }
        do throws(UVError) {
            try startLookups()
        } catch {
            await stop(grace: .zero)
            throw ProxyServerError(.systemFailure, "lookups can't start: \(error)")
        }
        let service = Service(
            configuration: configuration,
            listeners: listening.boundAddresses,
            context: context,
            policy: policy
        )
        self.service.withLock { $0 = service }
    }

    /// Takes users, credential store, rules, guard, login ban and limits of a configuration into use, and leaves
    /// everything else of it aside, the file of quotas among it. Sessions stay as they are; what they ask for next, a
    /// datagram's target among it, is decided by the new rules, while the limits of a user bind a request as they were
    /// when it came. Failed logins are still remembered, and so are successful ones of users whose hash is the same.
    ///
    /// Builds its tables in the thread of the caller, which may take a second for 100,000 networks.
    ///
    /// - Throws: ``ProxyServerError/Code/invalidConfiguration``, ``ProxyServerError/Code/openToNetwork`` where the
    ///   server would then serve anyone on an address that others reach, and ``ProxyServerError/Code/notStarted``.
    ///   Everything stays as it was.
    public func reload(_ configuration: Configuration) throws(ProxyServerError) {
        try configuration.validate()
        try service.withLock { service throws(ProxyServerError) in
            guard let current = service else {
                throw ProxyServerError(.notStarted, "a reload of a server that hasn't started")
            }
            var next = current.configuration
            next.adoptPolicy(of: configuration)
            // What it listens on is what it has listened on from the start.
            try next.validate()
            try next.probeEgressOfUsers()
            let policy = Policy(
                next,
                listeners: current.listeners,
                hashThreads,
                replacing: current.policy
            )
            service?.configuration = next
            service?.policy = policy
            current.context.throttle.withLock { $0.ban = policy.loginBan }
            for mailbox in state.withLock({ $0.mailboxes }) { mailbox.post(.adopt(policy)) }
        }
    }

    /// Runs `body` in a thread of its own that gives way to the workers: what to build a reload's tables in.
    package static func atLowPriority(_ body: @escaping @Sendable () -> Void) throws(ProxyServerError) {
        do throws(UVError) {
            try LoopThread.start(named: "socks5d-reload", atLowPriority: true, body)
        } catch {
            throw ProxyServerError(.systemFailure, "no thread: \(error)")
        }
    }

    /// Clients needn't wait for the threads that look names up; names that are asked for meanwhile do.
    private func startLookups() throws(UVError) {
        NameLookup.configurePool(triesSearchList: configuration.resolver.triesSearchList)
        // The end waits for it: a process that exits meanwhile would meet half a pool.
        state.withLock { $0.running += 1 }
        do throws(UVError) {
            try LoopThread.start(named: "socks5d-names") { [self] in
                let count = NameLookup.startPool()
                let mailboxes = state.withLock { $0.mailboxes }
                _ = mailboxes.first { $0.post(.lookupsStarted(atOnce: count)) }
                threadDidEnd()
            }
        } catch {
            threadDidEnd()
            throw error
        }
    }

    private func startWorker(
        _ index: Int,
        _ sockets: [ListeningSocket],
        _ context: ServerContext,
        _ policy: Policy
    ) async throws(UVError) {
        let mailbox = context.crew.members[index].mailbox
        let counters = Counters()
        let result: Result<Void, UVError> = await withCheckedContinuation { started in
            do throws(UVError) {
                try LoopThread.start(named: "socks5d-\(index)") { [self] in
                    let worker: Worker
                    do throws(UVError) {
                        worker = try Worker(index, context, policy, counters) { [self] in threadDidEnd() }
                    } catch {
                        return started.resume(returning: .failure(error))
                    }
                    state.withLock { state in
                        state.mailboxes.append(mailbox)
                        state.counters.append(counters)
                        state.running += 1
                    }
                    started.resume(returning: .success(()))
                    worker.run(sockets)
                }
            } catch {
                started.resume(returning: .failure(error))
            }
        }
        try result.get()
    }

    /// Stops listening, lets sessions come to their end for `grace`, then resets those that have not.
    ///
    /// Returns when all sessions have ended. A name lookup that is still running keeps its thread until it
    /// comes back. A second call shortens the first one's grace, and returns with it.
    public func stop(grace: Duration) async {
        let mailboxes = state.withLock { $0.mailboxes }
        for mailbox in mailboxes { mailbox.post(.stop(grace: grace.milliseconds)) }
        await ended()
    }

    /// Starts, serves until the task is cancelled or ``stop(grace:)`` is called, and drains for
    /// ``Configuration/Timeouts/drain``: the shape of a `ServiceLifecycle.Service`.
    public func run() async throws {
        try await start()
        let mailboxes = state.withLock { $0.mailboxes }
        let grace = configuration.timeouts.drain.milliseconds
        await withTaskCancellationHandler {
            await ended()
        } onCancel: {
            for mailbox in mailboxes { mailbox.post(.stop(grace: grace)) }
        }
    }

    /// Suspends until no worker runs, and what there is to keep is kept.
    private func ended() async {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if state.running > 0 { state.awaitingEnd.append(continuation) }
                return state.running == 0
            }
            if hasEnded { continuation.resume() }
        }
        let quotas = state.withLock { $0.quotas }
        quotas?.cancel()
        await quotas?.value
    }

    private func threadDidEnd() {
        let awaiting = state.withLock { state in
            state.running -= 1
            guard state.running == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { state.awaitingEnd = [] }
            return state.awaitingEnd
        }
        for continuation in awaiting { continuation.resume() }
    }
}
