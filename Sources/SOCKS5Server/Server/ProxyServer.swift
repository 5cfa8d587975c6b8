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
/// Serves in threads of its own, one a worker, from ``start()`` until ``stop(grace:)``; once in its life. Each call
/// may come at any moment, from any thread. Installs no signal handler.
public final class ProxyServer: Sendable {
    struct State {
        var lifecycle = Lifecycle()
        var boundAddresses: [ListenAddress] = []
        /// In the same order.
        var listenerNames: [String] = []
        /// Of unix sockets; removed when the server stops.
        var files: [UnixSocketFile] = []
        /// From the start on, and what the limits of users are.
        var shared: Shared?
        var limits: LimitTable?
        /// Of the default route; `nil`: it leads straight.
        var defaultParents: ParentPool?
        var reloads = MetricsSnapshot.Reloads()
        /// Ends sessions while no new clients are taken; `nil`: clients are taken.
        var drain: Task<Void, Never>?
        var quotas: Task<Void, Never>?
        var awaitingEnd: [CheckedContinuation<Void, Never>] = []
        /// Whether a stop will come, see ``announceStop()``.
        var isStopAnnounced = false
        var isTellingOfStop = false
        /// Whether another process accepts by the listening sockets now.
        var isHandedOver = false
        /// Whether another one may: a take-over of its sockets, or by them of this one's, has begun and not ended.
        var isShared = false
        /// Of unix sockets that were taken over, and are another process's yet.
        var handedFiles: [UnixSocketFile] = []
        /// Look for addresses that aren't there yet.
        var retries: [Task<Void, Never>] = []

        var isDraining: Bool { drain != nil || isStopAnnounced }
    }

    /// What is served, and by which policy.
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
    /// `nil` until the server has started; held by a reload.
    private let service = Guarded<Service?>(nil)

    /// The threads that serve.
    public let workers: Int
    /// Sessions at once, over all workers.
    public let maxConnections: Int

    /// The descriptors that the process may have.
    package static var descriptorLimit: Int { ConnectionLimit.raiseDescriptorLimit() }

    /// The version of libuv in use, as `1.44.2`.
    public static var libuvVersion: String { UVLoop.libuvVersion }

    /// Finds out which sockets the process has inherited. A program calls it before it opens anything.
    package static func lookForInheritedSockets() { _ = InheritedSockets.ofProcess }

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
        crew = Crew(workers: workers, listeners: configuration.listeners.count)
        let allowed = ConnectionLimit.allowedByDescriptors(
            workers: workers,
            listeners: configuration.listen.count
        )
        maxConnections = min(configuration.maxConnections ?? allowed, allowed)
    }

    /// The addresses that are listened on, with the ports the system chose; empty before ``start()``.
    public var boundAddresses: [ListenAddress] { state.withLock { $0.boundAddresses } }

    /// How far it has come, as of this moment.
    public var stage: ServerStage {
        state.withLock { state in
            let stage = state.lifecycle.current
            return stage == .running && state.isDraining ? .draining : stage
        }
    }

    /// What has been counted so far.
    public var statistics: Statistics { Statistics(crew.members.map(\.counters)) }

    /// An embedder's; `nil`: the users are those of the configuration, or there are none.
    var credentialStore: (any CredentialStore)? {
        service.withLock { service in
            service.flatMap { $0.policy.credentials is UserTable ? nil : $0.policy.credentials }
        }
    }

    /// What each worker has counted so far.
    package var statisticsOfWorkers: [Statistics] {
        crew.members.map { Statistics([$0.counters]) }
    }

    /// Reads what ``start()`` would read, and changes nothing.
    package func checkFiles() throws(ProxyServerError) {
        _ = try configuration.withSources()
        guard let path = configuration.limits.quotaFile else { return }
        _ = try QuotaKeeper(path, AccountTable { _ in }, logger)
    }

    /// Listens and begins to serve; returns when clients can connect. At most once.
    ///
    /// - Throws: ``ProxyServerError/Code/addressInUse`` and what else binding, or starting a thread, fails with;
    ///   ``ProxyServerError/Code/stopped`` where a stop came before this has returned: then all has ended;
    ///   ``ProxyServerError/Code/alreadyStarted``.
    public func start() async throws(ProxyServerError) {
        try await start(takingOver: [])
    }

    /// - Parameter handed: sockets of another process, which this one listens on too; where the configuration has no such
    ///   address they are closed.
    package func start(takingOver handed: [HandedListener]) async throws(ProxyServerError) {
        state.withLock { $0.isShared = !handed.isEmpty }
        for listener in handed { listener.noteAddresses() }
        if let refusal = state.withLock({ $0.lifecycle.start() }) {
            for socket in handed.lazy.map(\.sockets).joined() { socket.close() }
            throw ProxyServerError(refusal)
        }
        do throws(ProxyServerError) {
            // Only now it is known where they listen, and whether strangers reach them.
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

    /// Opens everything, in the order in which it may fail.
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
        // Now, so that the first worker doesn't take what waits for all.
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
            // What it listens on is what it has listened on from the start.
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

    /// Clients needn't wait for the threads that look names up; names that are asked for meanwhile do.
    private func startLookups() throws(ProxyServerError) {
        NameLookup.configurePool(triesSearchList: configuration.resolver.triesSearchList)
        // The end waits for it: a process that exits meanwhile would meet half a pool.
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

    /// Returns when the worker is there.
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

    /// Starts a thread that says itself when it has ended, unless a stop has come.
    ///
    /// - Parameter purpose: for the error's text.
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

    /// Stops listening, lets sessions come to their end for `grace`, then resets those that have not.
    ///
    /// Returns when all sessions have ended. A name lookup that is still running keeps its thread until it
    /// comes back. A second call shortens the first one's grace, and returns with it. Before ``start()`` it returns at
    /// once, and the server will never start; during ``start()`` that one throws.
    ///
    /// - Parameter grace: `nil`: ``Configuration/Timeouts/drain``.
    public func stop(grace: Duration? = nil) async {
        requestStop(grace ?? configuration.timeouts.drain)
        await ended()
    }

    /// Suspends until the server has ended, whoever stops it. For a program that has called ``start()`` itself, as to
    /// learn the ports that the system chose; ``run()`` does both.
    public func waitUntilEnded() async { await ended() }

    /// Starts, serves until the task is cancelled or ``stop(grace:)`` is called, and drains for
    /// ``Configuration/Timeouts/drain``: the shape of a `ServiceLifecycle.Service`.
    ///
    /// Returns when all sessions have ended, whenever the stop came.
    ///
    /// - Throws: what ``start()`` throws, except ``ProxyServerError/Code/stopped``.
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

    /// Of unix sockets.
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
            // First, so that no client comes behind the last one that is accepted.
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

    /// Suspends until no worker runs, and what there is to keep is kept.
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
