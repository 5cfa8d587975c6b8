internal import ArgumentParser
internal import Glibc
internal import Locks
internal import Logging
internal import ProxyPolicy
internal import SOCKS5Admin
internal import SOCKS5Server

/// `socks5d run`: serves until a signal ends it.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Serve (the default).")

    @OptionGroup var options: Options
    @Flag(
        help:
            "Replace the process whose admin socket is admin.listen (a unix socket), and refuse no connection."
    )
    var takeOver = false

    /// The main thread waits for signals, starting before the settings are read: reading a file may take time.
    func serve() throws -> Never {
        ProxyServer.lookForInheritedSockets()
        let environment = Environment.ofProcess()
        let program = Program(takesOver: takeOver) { [options] in try Loaded(options, environment) }
        program.load()
        while true { program.take(Signals.wait()) }
    }
}

/// Decides what a signal does, depending on the progress of the program.
private final class Program: Sendable {
    private enum Stage {
        /// The settings are being read, and nothing is open.
        case loading(isReloadWanted: Bool)
        case serving(Service)
        case stopping
    }

    private let stage = Guarded(Stage.loading(isReloadWanted: false))
    /// Passes the settings to the main thread.
    private let loaded = Guarded(Loaded?.none)
    private let takesOver: Bool
    private let read: @Sendable () throws -> Loaded

    /// - Parameters:
    ///   - takesOver: whether it replaces a running process.
    ///   - read: reads the settings.
    init(takesOver: Bool, _ read: @escaping @Sendable () throws -> Loaded) {
        self.takesOver = takesOver
        self.read = read
    }

    /// Reads the settings, and lets the main thread continue with them.
    func load() {
        inThread { [self] in
            let settings = try read()
            loaded.withLock { $0 = settings }
            Signals.wakeMainThread()
        }
    }

    /// Runs on the main thread, the only one at that time: all later threads inherit its reduced rights.
    private func confine() {
        guard let settings = loaded.withLock({ $0.take() }) else { return }
        do throws(Failure) {
            let outcome = try Confinement(settings).enter()
            inThread { [self] in begin(with: try Service(settings, outcome, takesOver: takesOver, read)) }
        } catch {
            Socks5d.fail(error)
        }
    }

    private func inThread(_ body: @escaping @Sendable () throws -> Void) {
        do throws(ProxyServerError) {
            try ProxyServer.inThread(named: "socks5d-start") {
                do {
                    try body()
                } catch let failure as Failure {
                    Socks5d.fail(failure)
                } catch {
                    Socks5d.fail(.runtime("\(error)"))
                }
            }
        } catch {
            Socks5d.fail(Failure(error))
        }
    }

    private func begin(with service: Service) {
        let isReloadWanted: Bool? = stage.withLock { stage in
            guard case .loading(let isReloadWanted) = stage else { return nil }
            stage = .serving(service)
            return isReloadWanted
        }
        // If `nil`, the program is already ending.
        guard let isReloadWanted else { return }
        if isReloadWanted { service.reloader.reload() }
        service.whenToLeave { [self] in leave() }
        service.start()
    }

    func take(_ signal: Int32) {
        switch signal {
        case SIGHUP: reload()
        case SIGTERM, SIGINT: stop(signal)
        case SIGUSR1: LogWriter.shared?.reopen()
        case SIGUSR2: confine()
        default: break
        }
    }

    private func reload() {
        let reloader: Reloader? = stage.withLock { stage in
            switch stage {
            case .loading:
                stage = .loading(isReloadWanted: true)
                return nil
            case .serving(let service):
                return service.reloader
            case .stopping:
                return nil
            }
        }
        reloader?.reload()
    }

    /// Another process has the listeners now.
    private func leave() {
        let last = stage.withLock { stage in
            defer { stage = .stopping }
            return stage
        }
        switch last {
        case .serving(let service): service.leave()
        case .loading, .stopping: break
        }
    }

    /// The first signal drains, the second one ends the program.
    private func stop(_ signal: Int32) {
        let last = stage.withLock { stage in
            defer { stage = .stopping }
            return stage
        }
        switch last {
        case .loading: Socks5d.finish(0)
        case .serving(let service): service.stop()
        case .stopping: Socks5d.finish(128 + signal)
        }
    }
}

/// The server, and the program's parts around it.
private final class Service: Sendable {
    let reloader: Reloader
    /// `nil` if there is none.
    private let admin: AdminServer?
    private let server: ProxyServer
    private let configuration: Configuration
    private let adminAddress: AdminAddress?
    private let logger: Logger
    /// Whether it replaces another process.
    private let takesOver: Bool
    /// Called when another process has replaced this one.
    private let leaving: Guarded<(@Sendable () -> Void)?>
    private let sandbox: Confinement.Outcome
    private let progress: (log: AccessLog, interval: Duration)?

    /// Opens nothing yet.
    ///
    /// - Parameter read: reads the settings again.
    init(
        _ settings: Loaded,
        _ sandbox: Confinement.Outcome,
        takesOver: Bool,
        _ read: @escaping @Sendable () throws -> Loaded
    ) throws {
        self.takesOver = takesOver
        let leaving = Guarded<(@Sendable () -> Void)?>(nil)
        self.leaving = leaving
        try settings.checkLogs()
        Messages.use(settings.log.file, settings.log.format)
        let logLevel = LogLevelSwitch(settings.log.level)
        let logger = Logger(label: "socks5d") { _ in MessageHandler(logLevel) }
        let accessLog = AccessLog(settings.accessLog)
        for warning in settings.warnings + settings.lostFiles + sandbox.warnings {
            logger.warning("\(warning)")
        }
        let server = try settings.server(logger, accessLog)
        do throws(ProxyServerError) {
            try server.checkResources()
        } catch {
            throw Failure(error)
        }
        Self.warnOfFewDescriptors(server, wanted: settings.configuration.maxConnections, logger)
        reloader = Reloader(server, settings, logger, load: read)
        admin = try Self.admin(of: server, settings.admin, reloader, logLevel, logger, leaving)
        configuration = settings.configuration
        adminAddress = settings.admin?.address
        progress = accessLog.flatMap { log in settings.accessLog.progress.map { (log, $0) } }
        self.sandbox = sandbox
        self.server = server
        self.logger = logger
    }

    private static func admin(
        of server: ProxyServer,
        _ configuration: AdminConfiguration?,
        _ reloader: Reloader,
        _ logLevel: LogLevelSwitch,
        _ logger: Logger,
        _ leaving: Guarded<(@Sendable () -> Void)?>
    ) throws -> AdminServer? {
        guard var configuration else { return nil }
        configuration.logLinesDropped = { UInt64(LogWriter.shared?.dropped ?? 0) }
        var actions = AdminActions(reloader, logLevel)
        actions.leave = { leaving.withLock { $0 }?() }
        do throws(AdminError) {
            let admin = try AdminServer(
                server,
                configuration: configuration,
                actions: actions,
                logger: logger
            )
            reloader.whenAdopted { if let token = $0.admin?.token { admin.use(token) } }
            return admin
        } catch {
            throw Failure(error)
        }
    }

    /// No warning if the number of connections is configured: then a low number is intended.
    private static func warnOfFewDescriptors(_ server: ProxyServer, wanted: Int?, _ logger: Logger) {
        let allowed = server.maxConnections
        guard wanted.map({ $0 > allowed }) ?? (allowed < fewSessions) else { return }
        let few = wanted == nil ? "few connections" : "fewer connections than asked for"
        let remedy = "raise ulimit -Hn, LimitNOFILE= (systemd) or --ulimit nofile= (Docker)"
        logger.warning(
            "\(few): descriptors are short; \(remedy)",
            metadata: ["descriptors": "\(ProxyServer.descriptorLimit)", "limit": "\(allowed)"]
        )
    }

    private static let fewSessions = 256

    /// Calls `body` when another process has replaced this one.
    func whenToLeave(_ body: @escaping @Sendable () -> Void) {
        leaving.withLock { $0 = body }
    }

    func start() {
        Task {
            do {
                try await takesOver ? startInPlaceOfAnother() : startServers()
            } catch let error as ProxyServerError {
                // A stop that came meanwhile ends the program itself.
                if error.code == .stopped { return }
                Socks5d.fail(Failure(error))
            } catch let error as AdminError {
                Socks5d.fail(Failure(error))
            } catch let failure as Failure {
                Socks5d.fail(failure)
            }
            Banner(server, configuration, admin: admin?.boundAddress, sandbox: sandbox.summary).write()
            reloader.serverDidStart()
            ServiceManager.ofProcess.ready(
                "serving, at most \(server.maxConnections) connections",
                isSuccessor: takesOver
            )
            if let watchdog = ServiceManager.ofProcess.watchdog {
                Task { await signOfLife(every: watchdog / 2) }
            }
            await tellOfProgress()
        }
    }

    private func startServers() async throws {
        // Started first, so that it can report that the proxy doesn't serve yet.
        try admin?.start()
        try await server.start()
    }

    /// The other process continues until it is told to leave at the end. It also continues if this one ends early.
    private func startInPlaceOfAnother() async throws {
        let other = try Predecessor(at: adminAddress)
        try await server.start(takingOver: other.listeners)
        try admin?.start(onDescriptor: other.adminSocket)
        do {
            try other.leave()
            server.takeOverDidEnd()
        } catch let failure as Failure {
            for message in failure.messages { logger.warning("\(message); it may serve too") }
        }
    }

    /// Sent only while all workers respond. If one hangs, the service manager gets no sign of life and restarts the
    /// program.
    private func signOfLife(every interval: Duration) async {
        while (try? await Task.sleep(for: interval)) != nil {
            await server.answerByAllWorkers()
            ServiceManager.ofProcess.alive()
        }
    }

    /// Runs as long as the program.
    private func tellOfProgress() async {
        guard let progress else { return }
        while (try? await Task.sleep(for: progress.interval)) != nil {
            progress.log.tell(of: await server.sessions(), runningFor: progress.interval)
        }
    }

    func stop() {
        let (grace, delay) = (configuration.timeouts.drain, configuration.timeouts.drainDelay)
        logger.notice(
            "stopping",
            metadata: ["grace": "\(grace)", "sessions": "\(server.statistics.active)"]
                .merging(delay > .zero ? ["delay": "\(delay)"] : [:]) { $1 }
        )
        ServiceManager.ofProcess.stopping("draining")
        server.announceStop()
        Task {
            if delay > .zero { try? await Task.sleep(for: delay) }
            Task { await tellOfDrain() }
            await server.stop(grace: grace)
            await admin?.stop()
            Socks5d.finish(0)
        }
    }

    /// Another process serves instead of this one.
    func leave() {
        let grace = configuration.timeouts.drain
        logger.notice(
            "leaving to another process",
            metadata: ["grace": "\(grace)", "sessions": "\(server.statistics.active)"]
        )
        admin?.leave()
        Task {
            await server.leave(grace: grace)
            await admin?.stop()
            Socks5d.finish(0)
        }
    }

    /// Reports each second what is left.
    private func tellOfDrain() async {
        while (try? await Task.sleep(for: .seconds(1))) != nil {
            ServiceManager.ofProcess.status("draining, \(server.statistics.active) session(s) left")
        }
    }
}
