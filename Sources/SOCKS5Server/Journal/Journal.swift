internal import Logging
internal import ProxyPolicy
internal import SOCKS5Protocol
internal import UVLoop

/// The one place of a worker that learns what happens to its sessions: counts it, logs it, and tells an embedder.
///
/// - Isolation: the worker's thread.
final class Journal {
    let counters: Counters
    let logger: Logger
    private let observer: (any SessionObserver)?
    private var lastSession: UInt64
    private var limitWarning = RateLimit()
    private var displacedWarning = RateLimit()
    private var sourceWarning = RateLimit()
    private var pauseWarning = RateLimit()

    /// - Parameter worker: its number, which makes its sessions' numbers differ from those of others.
    init(worker: Int, _ counters: Counters, _ logger: Logger, _ observer: (any SessionObserver)?) {
        self.counters = counters
        self.logger = logger
        self.observer = observer
        lastSession = SessionRecord.firstID(ofWorker: worker)
    }

    // MARK: - Sessions

    /// The number of a new session.
    func nextSession() -> UInt64 {
        lastSession += 1
        return lastSession
    }

    func sessionDidBegin(_ record: SessionRecord) {
        counters.add(.accepted)
        observer?.observe(.began(record.info(now: record.began)))
    }

    /// - Parameter now: milliseconds on the loop's clock.
    func sessionDidEnd(_ record: SessionRecord, now: UInt64) {
        counters.publishEnd()
        observer?.observe(.ended(record.info(now: now)))
        record.log(to: logger, now: now)
    }

    // MARK: - Connections that become no session

    func connectionRefusedAsBanned() {
        counters.add(.refusedAsBanned)
    }

    /// - Parameter maximum: the sessions that there may be.
    func connectionRefusedAtLimit(of maximum: Int, now: UInt64) {
        counters.add(.refusedAtLimit)
        guard let refused = limitWarning.count(now: now) else { return }
        logger.warning(
            "connections refused at the limit",
            metadata: ["limit": "\(maximum)", "refused": "\(refused)"]
        )
    }

    func connectionRefused(_ peer: Peer, by limit: LimitRefusal, now: UInt64) {
        counters.add(limit)
        guard let refused = sourceWarning.count(now: now) else { return }
        logger.warning(
            "connections refused by a limit",
            metadata: ["limit": "\(limit.text)", "client": "\(peer.host)", "refused": "\(refused)"]
        )
    }

    /// - Parameter maximum: the sessions that there may be.
    func handshakeDisplaced(atLimit maximum: Int, now: UInt64) {
        counters.add(.displacedHandshakes)
        guard let displaced = displacedWarning.count(now: now) else { return }
        logger.warning(
            "handshakes ended at the limit, for new connections",
            metadata: ["limit": "\(maximum)", "ended": "\(displaced)"]
        )
    }

    func acceptingDidPause(for error: UVError, now: UInt64) {
        guard pauseWarning.count(now: now) != nil else { return }
        logger.warning("accepting pauses", metadata: ["error": "\(error)"])
    }
}
