internal import Locks
internal import UVLoop

extension ProxyServer {
    /// Copies of all its listening sockets, while it continues to serve; empty unless it runs.
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

    /// - Throws: ``ProxyServerError`` if sockets that were handed over are open to strangers; they are then
    ///   closed.
    func refuseStrangers(_ handed: [HandedListener]) throws(ProxyServerError) {
        do throws(ProxyServerError) {
            try configuration.validate()
        } catch {
            for socket in handed.lazy.map(\.sockets).joined() { socket.close() }
            throw error
        }
    }

    /// Like ``stop(grace:)``, after another process has taken over the sockets: connections that aren't
    /// accepted yet and the files of unix sockets are left to that process.
    package func leave(grace: Duration) async {
        let quotas = state.withLock { state in
            state.isHandedOver = true
            return state.quotas
        }
        // The file belongs to the other process from now on.
        quotas?.cancel()
        await stop(grace: grace)
    }

    /// The process whose sockets were taken over has stopped: this process now owns the files of its unix
    /// sockets.
    package func takeOverDidEnd() {
        state.withLock { state in
            state.isShared = false
            state.files += state.handedFiles
            state.handedFiles = []
        }
    }
}
