internal import Logging
internal import ProxyPolicy
internal import Text
internal import UVLoop

/// Keeps the used quotas of users in a file, over restarts of the server.
struct QuotaKeeper: Sendable {
    private let path: String
    private let accounts: AccountTable
    private let logger: Logger

    private static let interval: Duration = .seconds(10)
    private static let warningInterval: Duration = .seconds(60)
    private static let longestFile = 64 << 20

    /// Loads the file into the accounts.
    ///
    /// - Throws: ``ProxyServerError/Code/invalidConfiguration`` with file and line if it isn't a quota file,
    ///   ``ProxyServerError/Code/systemFailure`` if it can't be read.
    init(_ path: String, _ accounts: AccountTable, _ logger: Logger) throws(ProxyServerError) {
        self.path = path
        self.accounts = accounts
        self.logger = logger
        let shown = path.escapedForOneLine
        let bytes: [UInt8]?
        do throws(UVError) {
            bytes = try StateFile.read(path, limit: Self.longestFile)
        } catch {
            let fault = error == .noDevice ? "is not a regular file" : "can't be read: \(error)"
            throw ProxyServerError(.systemFailure, "the quota file \(shown) \(fault)")
        }
        do throws(QuotaFile.Problem) {
            accounts.restore(try QuotaFile(parsing: bytes ?? []).usages)
        } catch {
            throw ProxyServerError(.invalidConfiguration, "\(shown):\(error.line): \(error.text)")
        }
    }

    /// Writes the file if the usage has changed: at once, then every 10 s, and a last time when the task is
    /// cancelled.
    func run() async {
        var written: [UInt8]?
        var lastWarning: ContinuousClock.Instant?
        var isLast = false
        while true {
            let bytes = QuotaFile.encode(accounts.usages())
            if bytes != written {
                switch await save(bytes) {
                case .success: written = bytes
                case .failure(let error): warn(error, &lastWarning)
                }
            }
            if isLast { return }
            do { try await Task.sleep(for: Self.interval) } catch { isLast = true }
        }
    }

    private func warn(_ error: UVError, _ last: inout ContinuousClock.Instant?) {
        let now = ContinuousClock.now
        if let last, now - last < Self.warningInterval { return }
        last = now
        logger.warning(
            "the quota file can't be written",
            metadata: ["file": "\(path.escapedForOneLine)", "error": "\(error)"]
        )
    }

    /// Writes in a thread of its own, since a disk may be slow.
    private func save(_ bytes: [UInt8]) async -> Result<Void, UVError> {
        await withCheckedContinuation { saved in
            do throws(UVError) {
                try LoopThread.start(named: "socks5d-quota", atLowPriority: true) {
                    saved.resume(
                        returning: Result { () throws(UVError) in
                            try StateFile.replace(path, with: bytes)
                        }
                    )
                }
            } catch {
                saved.resume(returning: .failure(error))
            }
        }
    }
}
