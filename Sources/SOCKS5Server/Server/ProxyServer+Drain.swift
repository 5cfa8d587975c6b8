internal import Locks
internal import Logging
internal import UVLoop

/// Taking the server out of service. Each method may be called at any moment, from any thread.
extension ProxyServer {
    /// Stops accepting new clients: their connections are closed at once, so that they try another server.
    /// Running sessions can finish. Every second some of the remaining ones are ended, the longest idle
    /// first, so that none is left after `time`. The server keeps running, without sessions, until
    /// ``cancelDrain()`` or ``stop(grace:)``. A second call restarts the time.
    ///
    /// With ``Configuration/Timeouts/drainDelay``, clients are still accepted for that time, while the server
    /// already reports that it drains.
    ///
    /// - Parameter time: if `nil`, ``Configuration/Timeouts/drain``.
    /// - Returns: false if the server doesn't run, or was stopped.
    @discardableResult
    public func drain(within time: Duration? = nil) -> Bool {
        let time = time ?? configuration.timeouts.drain
        let delay = configuration.timeouts.drainDelay
        return state.withLock { state in
            guard state.lifecycle.current == .running else { return false }
            state.drain?.cancel()
            state.drain = Task { [self] in
                do {
                    try await Task.sleep(for: delay)
                    try closeIntake()
                } catch {
                    return
                }
                await endIdleFirst(within: time)
            }
            if delay == .zero { setIntake(isOpen: false) }
            return true
        }
    }

    /// Accepts new clients again.
    ///
    /// - Returns: false if there was no drain.
    @discardableResult
    public func cancelDrain() -> Bool {
        state.withLock { state in
            guard let drain = state.drain else { return false }
            drain.cancel()
            state.drain = nil
            setIntake(isOpen: true)
            return true
        }
    }

    /// Reports from now on that the server drains, while clients are still accepted. Call it before
    /// ``stop(grace:)``, so that balancers stop sending new clients.
    public func announceStop() {
        state.withLock { $0.isStopAnnounced = true }
    }

    /// - Throws: `CancellationError` if the drain was cancelled before.
    private func closeIntake() throws {
        try state.withLock { _ in
            try Task.checkCancellation()
            setIntake(isOpen: false)
        }
    }

    private func setIntake(isOpen: Bool) {
        for member in crew.members { member.mailbox.post(.control(.setIntake(isOpen: isOpen))) }
    }

    private func endIdleFirst(within time: Duration) async {
        let plan = DrainPlan(time)
        let start = ContinuousClock.now
        var said: Duration = .zero
        while true {
            let passed = ContinuousClock.now - start
            let sessions = await sessions()
            if Task.isCancelled { return }
            await end(Set(plan.next(of: sessions.map { ($0.id, $0.idle ?? $0.duration) }, passed)))
            if passed - said >= .seconds(1), !sessions.isEmpty {
                said = passed
                tellOfDrain(sessions: sessions.count, left: time - passed)
            }
            // Connections that were accepted before the drain may become sessions after its start.
            if sessions.isEmpty, passed >= time { return }
            do { try await Task.sleep(for: plan.step) } catch { return }
        }
    }

    /// Logs a line each second while sessions are left after a stop.
    func tellOfStop(within grace: Duration) {
        let isFirst = state.withLock { state in
            defer { state.isTellingOfStop = true }
            return !state.isTellingOfStop
        }
        guard isFirst else { return }
        let start = ContinuousClock.now
        Task { [self] in
            while (try? await Task.sleep(for: .seconds(1))) != nil {
                let sessions = statistics.active
                if sessions == 0 || state.withLock({ $0.lifecycle.hasEnded }) { return }
                tellOfDrain(sessions: sessions, left: grace - (ContinuousClock.now - start))
            }
        }
    }

    private func tellOfDrain(sessions: Int, left: Duration) {
        let seconds = max(0, left.milliseconds) / 1000
        logger.notice("draining", metadata: ["sessions": "\(sessions)", "seconds_left": "\(seconds)"])
    }

    /// For a watchdog: returns when each worker has answered in a turn of its loop.
    package func answerByAllWorkers() async {
        _ = await askWorkers { .answer($0) }
    }
}
