internal import Locks
internal import UVLoop

extension ProxyServer {
    /// Copies of all sockets that it listens on, while it goes on serving; empty unless it runs.
    package func copyOfListeners() async -> [HandedListener] {
        guard stage == .running else { return [] }
        state.withLock { $0.isShared = true }
        let copies = await askWorkers { .copyListeners($0) }.joined()
        return configuration.listeners.enumerated().map { index, settings in
            HandedListener(
                address: settings.address,
                sockets: copies.filter { $0.listener == index }.map(\.socket)
            )
        }
    }

    /// - Throws: ``ProxyServerError`` where sockets that were handed over are open to strangers; then they are closed.
    func refuseStrangers(_ handed: [HandedListener]) throws(ProxyServerError) {
        do throws(ProxyServerError) {
            try configuration.validate()
        } catch {
            for socket in handed.lazy.map(\.sockets).joined() { socket.close() }
            throw error
        }
    }

    /// Like ``stop(grace:)`` where another process has taken the sockets over: connections that nobody has accepted are
    /// left to that one, and so are the files of unix sockets.
    package func leave(grace: Duration) async {
        let quotas = state.withLock { state in
            state.isHandedOver = true
            return state.quotas
        }
        // The file is the other process's from now on.
        quotas?.cancel()
        await stop(grace: grace)
    }

    /// The process whose sockets were taken over has left: the files of its unix sockets are this one's now.
    package func takeOverDidEnd() {
        state.withLock { state in
            state.isShared = false
            state.files += state.handedFiles
            state.handedFiles = []
        }
    }
}
