internal import Locks
internal import Logging
internal import UVLoop

/// Listening on addresses that appear after the start of the server.
extension ProxyServer {
    func retryAwaited(of listening: ListeningSet) {
        for listener in listening.awaited {
            let settings = configuration.listeners[listener.name.index]
            guard let interval = settings.retry else { continue }
            logger.warning(
                "an address to listen on isn't there yet",
                metadata: ["address": "\(settings.address)", "retry": "\(interval)"]
            )
            let retry = Task { [self] in await listen(listener, every: interval) }
            state.withLock { $0.retries.append(retry) }
        }
    }

    /// Returns when it listens, or when the server stops.
    private func listen(_ listener: Listener, every interval: Duration) async {
        var lastTrouble = ""
        while (try? await Task.sleep(for: interval)) != nil {
            do throws(ProxyServerError) {
                let listening = try ListeningSet(listener, configuration, workers: workers)
                return begin(listening, at: listener)
            } catch {
                // The same error is logged only once.
                guard error.code != .addressNotAvailable, error.description != lastTrouble else { continue }
                lastTrouble = error.description
                logger.warning("\(error)")
            }
        }
    }

    private func begin(_ listening: ListeningSet, at listener: Listener) {
        let isStopping = state.withLock { state in
            if !state.lifecycle.isStopping { state.files += listening.files }
            return state.lifecycle.isStopping
        }
        if isStopping { return listening.close() }
        give(listening)
        logger.notice("listening", metadata: ["address": "\(listener.address)"])
    }

    /// Gives each worker its sockets.
    func give(_ listening: ListeningSet) {
        for (member, sockets) in zip(crew.members, listening.sockets) {
            for (listener, socket) in sockets where !member.mailbox.post(.listen(listener, socket)) {
                socket.close()
            }
        }
    }
}
