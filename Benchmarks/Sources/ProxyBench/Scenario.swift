/// One load: what connections do, and how many of them.
struct Scenario {
    let kind: Kind
    let connections: Int

    var name: String { "\(kind.name)-\(connections)" }
    var title: String { "\(kind.title) \(connections)" }

    /// Those that are run unless others are asked for.
    static let standard = [
        "download-1", "download-64", "upload-1", "upload-64", "echo-1", "echo-64",
        "cycles-64", "logins-64", "ping-pong-64", "ping-pong-beside-bulk-64", "idle-1000", "stalled-1000",
        "download-beside-stalled-300", "download-beside-stalled-1000",
        "udp-1", "udp-16", "names-200",
    ].compactMap(Scenario.init(name:))

    /// Any kind with any number of connections, as `download-512`.
    init?(name: String) {
        guard let dash = name.lastIndex(of: "-"), let connections = Int(name[name.index(after: dash)...]),
            (1...10_000).contains(connections), let kind = Kind.all.first(where: { $0.name == name[..<dash] })
        else { return nil }
        self.kind = kind
        self.connections = connections
    }
}

/// What connections can do, and which figures tell how a server copes with it.
struct Kind {
    let name: String
    var title: String { name.split(separator: "-").joined(separator: " ") }
    /// For the load generator.
    let mode: [String]
    /// Whether memory is measured, and not traffic.
    var isIdle = false
    /// Whether it takes a server that knows UDP ASSOCIATE.
    var usesDatagrams = false
    /// Whether it takes a server that resolves names, and a DNS server.
    var resolvesNames = false
    /// Whether every connection logs in.
    var logsIn = false
    let figures: [Figure]

    /// A new kind is a new entry.
    static let all = [
        Kind(name: "download", mode: ["download"], figures: [.throughput, .processorPerGigabyte]),
        Kind(name: "upload", mode: ["upload"], figures: [.throughput, .processorPerGigabyte]),
        Kind(name: "echo", mode: ["echo"], figures: [.throughput, .processorPerGigabyte]),
        Kind(name: "cycles", mode: ["cycle"], figures: [.rate, .processorPerUnit]),
        Kind(name: "logins", mode: ["cycle"], logsIn: true, figures: [.rate, .processorPerUnit]),
        Kind(name: "ping-pong", mode: ["pingpong"], figures: [.processorPerUnit, .median, .percentile99]),
        Kind(
            name: "ping-pong-beside-bulk",
            mode: ["pingpong", "--bulk", "8"],
            figures: [.throughput, .median, .percentile99]
        ),
        Kind(name: "idle", mode: ["idle"], isIdle: true, figures: [.memoryFresh, .memoryUsed, .descriptors]),
        Kind(name: "stalled", mode: ["stalled"], isIdle: true, figures: [.memoryHeld]),
        Kind(
            name: "download-beside-stalled",
            mode: ["beside-stalled"],
            figures: [.throughput, .processorPerGigabyte]
        ),
        Kind(
            name: "udp",
            mode: ["datagrams"],
            usesDatagrams: true,
            figures: [.rate, .processorPerUnit, .lost]
        ),
        Kind(name: "names", mode: ["names"], resolvesNames: true, figures: [.whole, .slowest]),
    ]
}

/// What one run of a scenario gave.
struct Sample {
    var seconds = 0.0
    /// Moved from end to end; of an echo both ways.
    var bytes = 0.0
    /// Cycles, round trips, idle connections, datagrams of both ways, or names.
    var units = 0.0
    var errors = 0
    /// Datagrams that didn't come back.
    var lost = 0.0
    /// What the first error was.
    var problem: String?
    /// Seconds of user and system time of the server with its children; `nil` without a server.
    var processor: Double?
    /// The share of the time in which the server's cores worked for others: much of it spoils the figures.
    var disturbance: Double?
    /// Seconds that a unit takes, by share: "p50", "p90", "p99", "p999", "max".
    var times: [String: Double] = [:]
    /// Of the server, a connection: fresh and after 100 KiB, in bytes.
    var memoryFresh: Double?
    var memoryUsed: Double?
    var descriptors: Double?
}

/// A number of a table's cell.
struct Figure {
    let name: String
    let unit: String
    let digits: Int
    /// Whether less is better, so that servers are compared by it.
    var isCost = true
    let value: @Sendable (Sample) -> Double?

    static let throughput = Figure(name: "throughput", unit: "GB/s", digits: 2, isCost: false) {
        $0.seconds > 0 ? $0.bytes / $0.seconds / 1e9 : nil
    }
    static let processorPerGigabyte = Figure(name: "processor", unit: "CPU s/GB", digits: 3) { sample in
        sample.bytes > 0 ? sample.processor.map { $0 / sample.bytes * 1e9 } : nil
    }
    static let rate = Figure(name: "rate", unit: "1/s", digits: 0, isCost: false) {
        $0.seconds > 0 ? $0.units / $0.seconds : nil
    }
    static let processorPerUnit = Figure(name: "processor", unit: "CPU us", digits: 1) { sample in
        sample.units > 0 ? sample.processor.map { $0 / sample.units * 1e6 } : nil
    }
    static let lost = Figure(name: "lost", unit: "lost", digits: 0, isCost: false) { $0.lost }
    static let median = Figure(name: "p50", unit: "p50 us", digits: 0, isCost: false) {
        $0.times["p50"].map { $0 * 1e6 }
    }
    static let percentile99 = Figure(name: "p99", unit: "p99 us", digits: 0) {
        $0.times["p99"].map { $0 * 1e6 }
    }
    static let whole = Figure(name: "all", unit: "all ms", digits: 0) { $0.seconds * 1e3 }
    static let slowest = Figure(name: "p99", unit: "p99 ms", digits: 0, isCost: false) {
        $0.times["p99"].map { $0 * 1e3 }
    }
    static let memoryFresh = Figure(name: "memory fresh", unit: "fresh KB", digits: 1) {
        $0.memoryFresh.map { $0 / 1000 }
    }
    static let memoryUsed = Figure(name: "memory used", unit: "used KB", digits: 1) {
        $0.memoryUsed.map { $0 / 1000 }
    }
    static let memoryHeld = Figure(name: "memory held", unit: "held MB", digits: 0, isCost: false) { sample in
        sample.memoryFresh.map { $0 * sample.units / 1e6 }
    }
    static let descriptors = Figure(name: "descriptors", unit: "fds", digits: 1, isCost: false) {
        $0.descriptors
    }
}
