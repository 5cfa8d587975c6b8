internal import Text

/// The sessions of one worker that have ended last, for those who come too late to see them run.
struct RecentSessions {
    /// Of each worker, and told of all.
    static let capacity = 200

    private struct Ended {
        let record: SessionRecord
        /// Milliseconds on the loop's clock.
        let time: UInt64
    }

    private var ring: [Ended] = []
    private var next = 0

    /// Port scans and health checks, which come by the second, aren't kept.
    mutating func add(_ record: SessionRecord, now: UInt64) {
        guard record.code != .probe else { return }
        let ended = Ended(record: record, time: now)
        if ring.count < Self.capacity {
            ring.append(ended)
        } else {
            ring[next] = ended
            next = (next + 1) % Self.capacity
        }
    }

    func infos(now: UInt64) -> [SessionInfo] {
        let moment = Timestamp.now()
        return ring.map { ended in
            let age = Int64(clamping: now - min(now, ended.time))
            return ended.record.info(
                now: ended.time,
                Timestamp(milliseconds: moment.milliseconds - age)
            )
        }
    }
}
