internal import CProcess
internal import Locks
internal import Logging
internal import ProxyPolicy
internal import SOCKS5Admin
internal import SOCKS5Server
internal import Text

/// Reads all settings again and applies those that can change. It runs outside the worker threads, one reload at a
/// time. A reload that is requested before the server has started is done afterwards.
final class Reloader: Sendable {
    private struct State {
        /// The start also counts as running.
        var isRunning = true
        /// Whether another reload was requested meanwhile, so that the settings just read may be out of date.
        var isWanted = false
        /// Called with the result of the next reload.
        var asking: [@Sendable (AdminActions.ReloadResult) -> Void] = []
        /// The settings applied last, and the functions to call with new ones.
        var adopted: Loaded
        /// Whether the admin server has a token.
        var hasToken: Bool
        var whenAdopted: (@Sendable (Loaded) -> Void)?
        /// The hash of the applied settings; `nil` until it is first requested.
        var hash: String?
    }

    private let server: ProxyServer
    private let started: Loaded
    private let load: @Sendable () throws -> Loaded
    private let logger: Logger
    private let state: Guarded<State>

    /// - Parameters:
    ///   - started: the settings that the server was started with.
    ///   - load: reads the same files, variables and flags again.
    init(
        _ server: ProxyServer,
        _ started: Loaded,
        _ logger: Logger,
        load: @escaping @Sendable () throws -> Loaded
    ) {
        self.server = server
        self.started = started
        self.load = load
        self.logger = logger
        state = Guarded(State(adopted: started, hasToken: started.admin?.token != nil))
    }

    /// Calls `body` with all settings that are applied from now on.
    func whenAdopted(_ body: @escaping @Sendable (Loaded) -> Void) {
        state.withLock { $0.whenAdopted = body }
    }

    /// The effective settings, without secrets.
    var settings: [EffectiveRow] { state.withLock { $0.adopted }.rows(startedWith: started) }

    /// Identifies ``settings``. Computed once per reload: there may be megabytes of them.
    var settingsHash: String {
        state.withLock { state in
            let hash = state.hash ?? state.adopted.rows(startedWith: started).hash
            state.hash = hash
            return hash
        }
    }

    /// Any thread; returns at once.
    ///
    /// - Parameter answer: called with the result.
    func reload(_ answer: (@Sendable (AdminActions.ReloadResult) -> Void)? = nil) {
        let isFirst = state.withLock { state in
            defer { state.isRunning = true }
            state.isWanted = true
            if let answer { state.asking.append(answer) }
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
                while let asking = takeTurn() {
                    ServiceManager.ofProcess.reloading()
                    let result = reloadNow()
                    ServiceManager.ofProcess.ready(result.status)
                    for answer in asking { answer(result) }
                    giveMemoryBack()
                }
            }
        } catch {
            let asking = state.withLock { state in
                defer { state.asking = [] }
                state.isRunning = false
                return state.asking
            }
            let result = refuse([error.description])
            for answer in asking { answer(result) }
        }
    }

    /// - Returns: the functions to call with the result; `nil` if no reload is requested any more.
    private func takeTurn() -> [@Sendable (AdminActions.ReloadResult) -> Void]? {
        state.withLock { state in
            defer { (state.isWanted, state.asking) = (false, []) }
            state.isRunning = state.isWanted
            return state.isWanted ? state.asking : nil
        }
    }

    private func reloadNow() -> AdminActions.ReloadResult {
        do {
            let next = try loadNoted()
            try server.reload(next.configuration)
            let (adopted, hasToken) = state.withLock { state in
                state.adopted = next
                state.hasToken = state.hasToken || next.admin?.token != nil
                state.hash = nil
                return (state.whenAdopted, state.hasToken)
            }
            adopted?(next)
            let left = next.settingsThatNeedARestart(since: started, hasToken: hasToken)
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
            logger.notice("reloaded", metadata: next.configuration.counts)
            return .adopted(
                users: next.configuration.users.count,
                rules: next.configuration.rules.count,
                needingRestart: left
            )
        } catch let failure as Failure {
            return refuse(failure.messages)
        } catch let error as ProxyServerError {
            return refuse(Failure(error).messages)
        } catch {
            return refuse(["\(error)"])
        }
    }

    /// Refusals by the server itself are counted by the server.
    private func loadNoted() throws -> Loaded {
        do {
            return try load()
        } catch {
            server.noteFailedReload()
            throw error
        }
    }

    /// Otherwise each reload leaves gaps in different arenas. Not on this thread: it may lose its processor while it
    /// holds a lock that the workers need.
    private func giveMemoryBack() {
        try? ProxyServer.inThread(named: "socks5d-trim") { process_trim() }
    }

    private func refuse(_ reasons: [String]) -> AdminActions.ReloadResult {
        for reason in reasons { logger.error("\(reason)") }
        logger.error("not reloaded: everything stays as it was")
        return .refused(reasons: reasons)
    }
}

extension AdminActions.ReloadResult {
    /// The status for the service manager.
    fileprivate var status: String {
        switch self {
        case .adopted(let users, let rules, _): "serving, \(users) user(s), \(rules) rule(s)"
        case .refused: "serving; the last reload was refused, see the log"
        }
    }
}
