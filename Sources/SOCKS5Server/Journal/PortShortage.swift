internal import Locks
internal import Logging
internal import UVLoop

/// Logs that local ports have run out, and which ones; at most one line per second for all workers.
///
/// Any thread.
final class PortShortage: Sendable {
    /// The purposes for which ports are used.
    enum Use: Int, CaseIterable {
        case connect, bind, udp
    }

    private let limits = Guarded(Use.allCases.map { _ in RateLimit() })
    private let logger: Logger

    init(_ logger: Logger) {
        self.logger = logger
    }

    /// - Parameter range: the range in the settings; `nil` if the system chooses.
    func note(_ use: Use, _ range: PortRange?, now: UInt64) {
        guard let failed = limits.withLock({ $0[use.rawValue].count(now: now) }) else { return }
        let setting = range == nil ? "net.ipv4.ip_local_port_range" : "\(use).ports"
        var metadata: Logger.Metadata = ["setting": "\(setting)", "failed": "\(failed)"]
        if let range { metadata["ports"] = "\(range)" }
        logger.warning("no local port is free", metadata: metadata)
    }
}
