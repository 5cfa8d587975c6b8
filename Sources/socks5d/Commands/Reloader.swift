internal import CProcess
internal import Locks
internal import Logging
internal import ProxyPolicy
internal import SOCKS5Admin
internal import SOCKS5Server
internal import Text

/// Reads all settings again and takes what can change into use, beside the workers and one reload after the other.
/// What is asked for before the server has started is done then.
final class Reloader: Sendable {
    private struct State {
        /// So is the start.
        var isRunning = true
        /// Asked for again meanwhile: what was read may be old.
        var isWanted = false
    }

    private let server: ProxyServer
    private let admin: AdminServer?
    private let started: Loaded
    private let load: @Sendable () throws -> Loaded
    private let logger: Logger
    private let state = Guarded(State())

    /// - Parameters:
    ///   - started: what the server was started with.
    ///   - load: reads the same files, variables and flags again.
    init(
        _ server: ProxyServer,
        _ admin: AdminServer?,
        _ started: Loaded,
        _ logger: Logger,
        load: @escaping @Sendable () throws -> Loaded
    ) {
        self.server = server
        self.admin = admin
        self.started = started
        self.load = load
        self.logger = logger
    }

    /// Any thread; returns at once.
    func reload() {
        let isFirst = state.withLock { state in
            defer { state.isRunning = true }
            state.isWanted = true
            return !state.isRunning
        }
        if isFirst { startThread() }
    }

    func serverDidStart() {
        let isWanted = state.withLock { state in
            state.isRunning = state.isWanted
            return state.isWanted
        }
        if isWanted { startThread() }
    }

    private func startThread() {
        do throws(ProxyServerError) {
            try ProxyServer.inThread(named: "socks5d-reload", atLowPriority: true) { [self] in
                while takeTurn() {
                    reloadNow()
                    giveMemoryBack()
                }
            }
        } catch {
            state.withLock { $0.isRunning = false }
            refuse([error.description])
        }
    }

    private func takeTurn() -> Bool {
        state.withLock { state in
            defer { state.isWanted = false }
            state.isRunning = state.isWanted
            return state.isWanted
        }
    }

    private func reloadNow() {
        do {
            let next = try loadNoted()
            try server.reload(next.configuration)
            if let token = next.admin?.token { admin?.use(token) }
            let left = next.settingsThatNeedARestart(since: started)
            for warning in next.warnings { logger.warning("\(warning)") }
            for file in next.files where InputFile.isOrphaned(file) {
                logger.warning(
                    """
                    \(file.printable) was replaced or deleted outside of its mount, and this is still the old file; \
                    mount its folder, and restart
                    """
                )
            }
            if !left.isEmpty {
                logger.warning(
                    "a restart is needed",
                    metadata: ["settings": "\(left.joined(separator: ","))"]
                )
            }
            logger.notice(
                "reloaded",
                metadata: [
                    "users": "\(next.configuration.users.count)",
                    "rules": "\(next.configuration.rules.count)",
                ]
            )
        } catch let failure as Failure {
            refuse(failure.messages)
        } catch let error as ProxyServerError {
            refuse(Failure(error).messages)
        } catch {
            refuse(["\(error)"])
        }
    }

    /// The server itself counts what it refuses.
    private func loadNoted() throws -> Loaded {
        do {
            return try load()
        } catch {
            server.noteFailedReload()
            throw error
        }
    }

    /// Else each reload leaves holes in other arenas. Not in this thread: it may lose its processor while it holds a
    /// lock that the workers want, and get it back late.
    private func giveMemoryBack() {
        try? ProxyServer.inThread(named: "socks5d-trim") { process_trim() }
    }

    private func refuse(_ reasons: [String]) {
        for reason in reasons { logger.error("\(reason)") }
        logger.error("not reloaded: everything stays as it was")
    }
}
