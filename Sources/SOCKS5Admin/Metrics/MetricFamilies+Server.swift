internal import SOCKS5Server

extension MetricFamily {
    static let ofLimits: [MetricFamily] = [
        MetricFamily(
            .counter,
            "socks5d_limit_hits_total",
            ["limit"],
            "How often a limit has refused or ended something."
        ) { input, writer in
            let numbers = input.server.statistics
            writer.add(numbers[.refusedAtLimit], "connections")
            writer.add(numbers[.displacedHandshakes], "handshakes")
            for limit in LimitRefusal.allCases { writer.add(hits(limit, numbers), limit.word) }
            writer.add(numbers[.associationsAtLimit], "associations_per_source")
            writer.add(input.server.lookups.refused, "lookups")
        },
        MetricFamily(.gauge, "socks5d_bans", "Sources that are banned because of failed logins.") {
            $1.add($0.server.bans)
        },
    ]

    /// A quota also ends running sessions, and those count too.
    private static func hits(_ limit: LimitRefusal, _ numbers: Statistics) -> Int {
        numbers.refusals(limit) + (limit == .quotaPerUser ? numbers[.endedByQuota] : 0)
    }

    static let ofNames: [MetricFamily] = [
        MetricFamily(.gauge, "socks5d_lookups", "Names that are being looked up.") {
            $1.add($0.server.lookups.running)
        },
        MetricFamily(.gauge, "socks5d_lookups_waiting", "Names that wait to be looked up.") {
            $1.add($0.server.lookups.waiting)
        },
        MetricFamily(
            .counter,
            "socks5d_name_cache_total",
            ["result"],
            "Requests for names: hit if the cache had the answer, otherwise miss."
        ) {
            $1.add($0.server.lookups.cacheHits, "hit")
            $1.add($0.server.lookups.cacheMisses, "miss")
        },
    ]

    static let ofWorkers: [MetricFamily] = [
        MetricFamily(
            .histogram,
            "socks5d_worker_turn_seconds",
            ["worker"],
            "Time that the work of one turn of a worker's loop took, to the millisecond."
        ) { for (index, worker) in $0.server.workers.enumerated() { $1.add(worker.turns, "\(index)") } },
        MetricFamily(
            .counter,
            "socks5d_worker_cpu_seconds_total",
            ["worker"],
            "Processor time of a worker's thread."
        ) {
            for (index, worker) in $0.server.workers.enumerated() { $1.add(worker.processorTime, "\(index)") }
        },
    ]

    /// Metrics with the names that Prometheus' client libraries agree on.
    static let ofProcess: [MetricFamily] = [
        MetricFamily(.counter, "process_cpu_seconds_total", "Processor time of the process.") {
            $1.add($0.process.cpuSeconds)
        },
        MetricFamily(.gauge, "process_open_fds", "Descriptors that are open.") {
            if let number = $0.process.openDescriptors { $1.add(number) }
        },
        MetricFamily(.gauge, "process_max_fds", "Descriptors that may be open.") {
            if let number = $0.process.maximumDescriptors { $1.add(number) }
        },
        MetricFamily(.gauge, "process_virtual_memory_bytes", "Addresses in use.") {
            if let number = $0.process.virtualBytes { $1.add(number) }
        },
        MetricFamily(.gauge, "process_resident_memory_bytes", "Memory in use.") {
            if let number = $0.process.residentBytes { $1.add(number) }
        },
        MetricFamily(.gauge, "process_threads", "Threads of the process.") {
            if let number = $0.process.threads { $1.add(number) }
        },
        MetricFamily(
            .gauge,
            "process_start_time_seconds",
            "When the process started, in seconds since 1970 (UTC)."
        ) { if let seconds = $0.process.startSeconds { $1.add(seconds) } },
    ]
}
