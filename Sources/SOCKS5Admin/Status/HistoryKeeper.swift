internal import Locks
internal import SOCKS5Server
internal import Text

/// Records each second what a server has relayed, starting with its own start. Any thread.
final class HistoryKeeper: Sendable {
    private let history = Guarded(History())
    private let origin = ContinuousClock.now
    /// The origin in seconds since 1970. Later steps of the system's clock don't change the history.
    private let originSecond = max(0, Int(Timestamp.now().milliseconds / 1000))

    var current: History { history.withLock { $0 } }

    /// Runs until the task is cancelled.
    func run(_ server: ProxyServer) async {
        while !Task.isCancelled {
            note(server.statistics)
            let next = (ContinuousClock.now - origin).components.seconds + 1
            try? await Task.sleep(until: origin + .seconds(next), clock: .continuous)
        }
    }

    private func note(_ statistics: Statistics) {
        let second = originSecond + Int((ContinuousClock.now - origin).components.seconds)
        history.withLock { history in
            history.note(
                second: second,
                sent: UInt64(statistics[.bytesClientToTarget]),
                received: UInt64(statistics[.bytesTargetToClient]),
                sessions: statistics.active
            )
        }
    }
}
