internal import Locks
package import UVLoop

/// The listening sockets of a server, for the process that takes its place.
package struct HandedListener: Sendable {
    /// As in the configuration, so that the next process finds its own by it.
    package let address: ListenAddress
    package let sockets: [ListeningSocket]

    package init(address: ListenAddress, sockets: [ListeningSocket]) {
        self.address = address
        self.sockets = sockets
    }

    /// Descriptors that have come from another process: they belong to this call.
    ///
    /// - Throws: ``ProxyServerError/Code/cannotInherit`` where one of them doesn't listen; then all are closed.
    package init(address: ListenAddress, adopting descriptors: [Int32]) throws(ProxyServerError) {
        var sockets: [ListeningSocket] = []
        for (index, descriptor) in descriptors.enumerated() {
            do throws(UVError) {
                sockets.append(try ListeningSocket(adopting: descriptor, isKept: false))
            } catch {
                for socket in sockets { socket.close() }
                for rest in descriptors[index...] { ListeningSocket.close(rest) }
                throw ProxyServerError(.cannotInherit, "a socket of \(address) can't be taken over: \(error)")
            }
        }
        self.init(address: address, sockets: sockets)
    }
}

extension ProxyServer {
    /// Copies of all sockets that it listens on, while it goes on serving; empty unless it runs.
    package func copyOfListeners() async -> [HandedListener] {
        guard stage == .running else { return [] }
        let copies = await askWorkers { .copyListeners($0) }.joined()
        return configuration.listeners.enumerated().map { index, settings in
            HandedListener(
                address: settings.address,
                sockets: copies.filter { $0.listener == index }.map(\.socket)
            )
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
            state.isTakingOver = false
            state.files += state.handedFiles
            state.handedFiles = []
        }
    }
}
