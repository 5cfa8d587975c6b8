internal import Locks
internal import ProxyPolicy
internal import Text
internal import UVLoop

extension ProxyServer {
    /// All metrics. Reads numbers that the workers publish, and delays none of them. Any thread.
    public func metrics() -> MetricsSnapshot {
        let state = state.withLock { state in
            (
                listeners: state.listenerNames, shared: state.shared,
                limits: state.limits,
                reloads: state.reloads, isDraining: state.lifecycle.isStopping || state.isDraining
            )
        }
        var snapshot = MetricsSnapshot(crew.members, listeners: state.listeners)
        if let shared = state.shared, let limits = state.limits {
            snapshot.add(shared, limits, now: LoopThread.now)
        }
        snapshot.loginsQueued = hashThreads.waiting
        snapshot.sessionsLimit = maxConnections
        snapshot.reloads = state.reloads
        snapshot.isDraining = state.isDraining
        return snapshot
    }

    /// Counts a reload whose files can't be read.
    package func noteFailedReload() {
        state.withLock { $0.reloads.failed += 1 }
    }

    /// Runs a reload, and counts it.
    func noted(_ reload: () throws(ProxyServerError) -> Void) throws(ProxyServerError) {
        do throws(ProxyServerError) {
            try reload()
        } catch {
            noteFailedReload()
            throw error
        }
        state.withLock { state in
            state.reloads.succeeded += 1
            state.reloads.lastSuccess = .now
        }
    }
}

extension Duration {
    /// Time since 1970 (UTC).
    static var now: Duration { .milliseconds(Timestamp.now().milliseconds) }
}
