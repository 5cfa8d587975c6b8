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
/// It serves in its own threads, one per worker, from ``start()`` until ``stop(grace:)``, only once in its
/// life. Each method may be called at any moment, from any thread. It installs no signal handler.
public final class ProxyServer: Sendable {
    struct State {
        var lifecycle = Lifecycle()
        var boundAddresses: [ListenAddress] = []
        /// In the order of the listeners.
        var listenerNames: [String] = []
        /// Files of unix sockets, which are removed when the server stops.
        var files: [UnixSocketFile] = []
        /// Set from the start on.
        var shared: Shared?
        var limits: LimitTable?
        /// Parents of the default route; `nil` if it leads directly to targets.
        var defaultParents: ParentPool?
        var reloads = MetricsSnapshot.Reloads()
        /// Ends sessions while no new clients are accepted; `nil` if there is no drain.
        var drain: Task<Void, Never>?
        var quotas: Task<Void, Never>?
        var awaitingEnd: [CheckedContinuation<Void, Never>] = []
        /// Whether a stop was announced, see ``announceStop()``.
        var isStopAnnounced = false
        var isTellingOfStop = false
        /// Whether another process now accepts on the listening sockets.
        var isHandedOver = false
        /// Whether two processes have the listening sockets: a take-over by this process or from it has
        /// begun, and not ended.
        var isShared = false
        /// Files of unix sockets that were taken over, but still belong to the other process.
        var handedFiles: [UnixSocketFile] = []
        /// Tasks that wait for addresses that don't exist yet.
        var retries: [Task<Void, Never>] = []

        var isDraining: Bool { drain != nil || isStopAnnounced }
    }

    /// The workers' shared state, and the policy.
    private struct Service {
        var configuration: Configuration
        let places: OwnPlaces
        let shared: Shared
        var policy: Policy
    }

    let configuration: Configuration
    let logger: Logger
    let crew: Crew
    let hashThreads = HashThreads()
    let state = Guarded(State())
    /// `nil` until the server has started; locked during a reload.
    private let service = Guarded<Service?>(nil)

    /// Number of threads that serve.
    public let workers: Int
    /// Number of sessions at once, over all workers.
    public let maxConnections: Int

    /// Number of descriptors that the process may have.
    package static var descriptorLimit: Int { ConnectionLimit.raiseDescriptorLimit() }

    /// The version of libuv in use, such as `1.44.2`.
    public static var libuvVersion: String { UVLoop.libuvVersion }

    /// Finds the sockets that the process has inherited. A program must call it before it opens anything.
    package static func lookForInheritedSockets() { _ = InheritedSockets.ofProcess }

    /// Checks the configuration, and opens nothing yet. Raises the soft limit of descriptors to the hard
    /// limit.
    ///
    /// - Parameters:
    ///   - configuration: the settings; ``reload(_:)`` can change some of them.
    ///   - logger: gets sessions at `info`, and problems at `warning` and above; never secrets.
    /// - Throws: ``ProxyServerError/Code/invalidConfiguration``, ``ProxyServerError/Code/openToNetwork``.
    public init(
        configuration: Configuration = Configuration(),
        logger: Logger = Logger(label: "socks5d")
    ) throws(ProxyServerError) {
        try configuration.validate()
        self.configuration = configuration
        self.logger = logger
        workers = configuration.workers ?? LoopThread.availableCores
        crew = Crew(workers: workers, listeners: configuration.listeners.count)
        let allowed = ConnectionLimit.allowedByDescriptors(
            workers: workers,
            listeners: configuration.listen.count
        )
        maxConnections = min(configuration.maxConnections ?? allowed, allowed)
    }

    /// The addresses on which the server listens, with ports that the system chose; empty before ``start()``.
    public var boundAddresses: [ListenAddress] { state.withLock { $0.boundAddresses } }

    /// The current stage.
    public var stage: ServerStage {
        state.withLock { state in
            let stage = state.lifecycle.current
            return stage == .running && state.isDraining ? .draining : stage
        }
    }

    /// The counts so far.
    public var statistics: Statistics { Statistics(crew.members.map(\.counters)) }

    /// The embedder's store; `nil` if the users are in the configuration, or there are none.
    var credentialStore: (any CredentialStore)? {
        service.withLock { service in
            service.flatMap { $0.policy.credentials is UserTable ? nil : $0.policy.credentials }
        }
    }

    /// The counts of each worker so far.
    package var statisticsOfWorkers: [Statistics] {
        crew.members.map { Statistics([$0.counters]) }
    }

    /// Reads the files that ``start()`` would read, and changes nothing.
    package func checkFiles() throws(ProxyServerError) {
        _ = try configuration.withSources()
        guard let path = configuration.limits.quotaFile else { return }
        _ = try QuotaKeeper(path, AccountTable { _ in }, logger)
    }

    /// Listens and begins to serve; returns when clients can connect. May be called only once.
    ///
    /// - Throws: ``ProxyServerError/Code/addressInUse`` and other errors of binding or of starting a thread;
    ///   ``ProxyServerError/Code/stopped`` if the server was stopped before this returned; it has then ended;
    ///   ``ProxyServerError/Code/alreadyStarted``.
    public func start() async throws(ProxyServerError) {
        try await start(takingOver: [])
    }

    /// - Parameter handed: sockets of another process, on which this process listens too. They are closed if
    ///   the configuration doesn't have their address.
    package func start(takingOver handed: [HandedListener]) async throws(ProxyServerError) {
        state.withLock { $0.isShared = !handed.isEmpty }
        for listener in handed { listener.noteAddresses() }
        if let refusal = state.withLock({ $0.lifecycle.start() }) {
            for socket in handed.lazy.map(\.sockets).joined() { socket.close() }
            throw ProxyServerError(refusal)
        }
        do throws(ProxyServerError) {
            // Only now their addresses are known, and whether strangers can reach them.
            if !handed.isEmpty { try refuseStrangers(handed) }
            try await open(takingOver: handed)
            perform(state.withLock { $0.lifecycle.startDidSucceed() }, grace: .zero)
        } catch {
            removeFiles()
            perform(state.withLock { $0.lifecycle.startDidFail() }, grace: .zero)
            await ended()
            throw error
        }
        guard state.withLock({ $0.lifecycle.isStopping }) else { return }
        await ended()
        throw ProxyServerError.stopped
    }

    /// Opens everything; the steps that may fail come first.
    private func open(takingOver handed: [HandedListener]) async throws(ProxyServerError) {
        let configuration = try configuration.withSources()
        let accounts = AccountTable { [crew] account in
            for member in crew.members { member.mailbox.post(.quotaEnded(account)) }
        }
        accounts.name(configuration.users.lazy.map(\.name))
        let keeper = try configuration.limits.quotaFile.map { path throws(ProxyServerError) in
            try QuotaKeeper(path, accounts, logger)
        }
        try configuration.egress.probe()
        try configuration.probeReloadableEgress()
        let listening = try ListeningSet(configuration, workers: workers, takingOver: handed)
        let shared = Shared(
            configuration,
            limit: ConnectionLimit(maximum: maxConnections),
            accounts: accounts,
            logger: logger
        )
        let parents = shared.parents.adopt(configuration)
        let policy = Policy(configuration, at: listening.places, parents: parents, hashThreads)
        state.withLock { state in
            state.boundAddresses = listening.boundAddresses
            state.listenerNames = listening.listeners.map(\.name.text)
            state.files = listening.files
            state.handedFiles = listening.handedFiles
            state.shared = shared
            state.limits = policy.limits
            state.defaultParents = policy.ways.defaultParents
            state.reloads.lastSuccess = .now
            state.quotas = keeper.map { keeper in Task { await keeper.run() } }
        }
        do throws(ProxyServerError) {
            for index in 0..<workers { try await startWorker(index, shared, policy) }
        } catch {
            listening.close()
            throw error
        }
        // Only after all workers run, so that the first one doesn't accept all waiting connections.
        give(listening)
        retryAwaited(of: listening)
        try startLookups()
        let service = Service(
            configuration: configuration,
            places: listening.places,
            shared: shared,
            policy: policy
        )
        self.service.withLock { $0 = service }
    }

    /// Applies users, credential store, rules, guard, login ban and limits of a configuration, and ignores
    /// the rest of it, including the quota file. Running sessions continue. Their next requests, including
    /// targets of datagrams, are decided by the new rules; a user's limits apply to a request as they were
    /// when it arrived. Failed logins are still remembered, and so are successful logins of users whose hash
    /// is unchanged.
    ///
    /// Builds its tables in the caller's thread, which may take a second for 100,000 networks.
    ///
    /// - Throws: ``ProxyServerError/Code/invalidConfiguration``, ``ProxyServerError/Code/openToNetwork`` if
    ///   the server would then serve anybody on an address that others reach, and
    ///   ``ProxyServerError/Code/notStarted``. After an error nothing has changed.
    public func reload(_ configuration: Configuration) throws(ProxyServerError) {
        try noted { () throws(ProxyServerError) in try adopt(configuration) }
    }

    private func adopt(_ configuration: Configuration) throws(ProxyServerError) {
        try configuration.validate()
        try service.withLock { service throws(ProxyServerError) in
            guard let current = service else {
                throw ProxyServerError(.notStarted, "a reload of a server that hasn't started")
            }
            var next = current.configuration
            next.adoptPolicy(of: configuration)
            // A reload never changes the addresses.
            try next.validate()
            next = try next.withSources()
            try next.probeReloadableEgress()
            let policy = Policy(
                next,
                at: current.places,
                parents: current.shared.parents.adopt(next),
                hashThreads,
                replacing: current.policy
            )
            service?.configuration = next
            service?.policy = policy
            current.shared.throttle.withLock { $0.ban = policy.loginBan }
            current.shared.accounts.name(next.users.lazy.map(\.name))
            state.withLock { state in
                state.limits = policy.limits
                state.defaultParents = policy.ways.defaultParents
            }
            for member in crew.members { member.mailbox.post(.adopt(policy)) }
        }
    }

    /// Clients needn't wait for the lookup threads to start; only their lookups do.
    private func startLookups() throws(ProxyServerError) {
        NameLookup.configurePool(triesSearchList: configuration.resolver.triesSearchList)
        // The end of the server waits for this thread: a process that exits meanwhile would find a
        // half-started pool.
        try startThread(named: "socks5d-names", for: "lookups") { [self] in
            let count = NameLookup.startPool()
            if count > 0 {
                _ = crew.members.first { $0.mailbox.post(.lookupsStarted(atOnce: count)) }
            } else {
                logger.error("names can't be looked up: no thread can start")
            }
            threadDidEnd()
        }
    }

    /// Returns when the worker runs.
    private func startWorker(
        _ index: Int,
        _ shared: Shared,
        _ policy: Policy
    ) async throws(ProxyServerError) {
        let result: Result<Void, ProxyServerError> = await withCheckedContinuation { started in
            do throws(ProxyServerError) {
                try startThread(named: "socks5d-\(index)", for: "worker \(index)") { [self] in
                    let worker: Worker
                    do throws(UVError) {
                        worker = try Worker(index, of: crew, shared, policy) { [self] in
                            threadDidEnd()
                        }
                    } catch {
                        threadDidEnd()
                        return started.resume(returning: .failure(.cannotStart("worker \(index)", error)))
                    }
                    worker.run { started.resume(returning: .success(())) }
                }
            } catch {
                started.resume(returning: .failure(error))
            }
        }
        try result.get()
    }

    /// Starts a thread that reports its own end; does nothing after a stop.
    ///
    /// - Parameter purpose: for the text of the error.
    private func startThread(
        named name: String,
        for purpose: String,
        _ body: @escaping @Sendable () -> Void
    ) throws(ProxyServerError) {
        guard state.withLock({ $0.lifecycle.threadWillStart() }) else { throw ProxyServerError.stopped }
        do throws(UVError) {
            try LoopThread.start(named: name, body)
        } catch {
            threadDidEnd()
            throw .cannotStart(purpose, error)
        }
    }

    /// Stops listening, gives sessions the time `grace` to end, then resets the remaining ones.
    ///
    /// Returns when all sessions have ended. A name lookup that is still running keeps its thread until it
    /// comes back. A second call shortens the grace of the first, and both return together. Before
    /// ``start()`` it returns at once, and the server can never start. During ``start()``, that call throws.
    ///
    /// - Parameter grace: if `nil`, ``Configuration/Timeouts/drain``.
    public func stop(grace: Duration? = nil) async {
        requestStop(grace ?? configuration.timeouts.drain)
        await ended()
    }

    /// Suspends until the server has ended. For a program that calls ``start()`` itself, for example to learn
    /// the ports that the system chose; ``run()`` does both.
    public func waitUntilEnded() async { await ended() }

    /// Starts, serves until the task is cancelled or ``stop(grace:)`` is called, and drains for
    /// ``Configuration/Timeouts/drain``. Suits a `ServiceLifecycle.Service`.
    ///
    /// Returns when all sessions have ended, also if the stop came during the start.
    ///
    /// - Throws: the errors of ``start()``, except ``ProxyServerError/Code/stopped``.
    public func run() async throws {
        try await withTaskCancellationHandler {
            do throws(ProxyServerError) {
                try await start()
            } catch {
                guard error.code == .stopped else { throw error }
            }
            await ended()
        } onCancel: {
            requestStop(configuration.timeouts.drain)
        }
    }

    func requestStop(_ grace: Duration) {
        perform(state.withLock { $0.lifecycle.stop() }, grace: grace)
        tellOfStop(within: grace)
    }

    /// Removes the files of unix sockets.
    private func removeFiles() {
        let files = state.withLock { state in
            defer { state.files = [] }
            return state.isHandedOver || state.isShared ? [] : state.files
        }
        for file in files { file.remove() }
    }

    private func threadDidEnd() {
        perform(state.withLock { $0.lifecycle.threadDidEnd() }, grace: .zero)
    }

    private func perform(_ action: Lifecycle.Action, grace: Duration) {
        switch action {
        case .nothing:
            break
        case .stopWorkers:
            // Remove the files first, so that no client connects after the last accept.
            removeFiles()
            let end: TCPListener.End = state.withLock { state in
                for retry in state.retries { retry.cancel() }
                return state.isHandedOver ? .handedOver : state.isShared ? .shared : .last
            }
            for member in crew.members {
                member.mailbox.post(.stop(grace: grace.milliseconds, end))
            }
        case .reportEnd:
            let awaiting = state.withLock { state in
                defer { state.awaitingEnd = [] }
                return state.awaitingEnd
            }
            for continuation in awaiting { continuation.resume() }
        }
    }

    /// Suspends until no worker runs, and the quotas are saved.
    private func ended() async {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if !state.lifecycle.hasEnded { state.awaitingEnd.append(continuation) }
                return state.lifecycle.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
        let (quotas, drain) = state.withLock { ($0.quotas, $0.drain) }
        drain?.cancel()
        quotas?.cancel()
        await quotas?.value
    }
}
