internal import CCores
internal import Glibc

/// The cores that the benchmark uses.
struct Cores {
    /// A core for each worker of the server, as far as there are so many.
    let proxy: [Int]
    let load: Int

    /// The first that this process may use for the server, the next for the load; where there is no next one,
    /// load and server share the last.
    static func found(workers: Int) throws(Failure) -> Cores {
        let allowed = allowed()
        guard let last = allowed.last else { throw .system("cores") }
        return Cores(proxy: Array(allowed.prefix(workers)), load: allowed.dropFirst(workers).first ?? last)
    }

    /// Calls with this thread on these cores; what is started meanwhile stays there.
    static func running<Result>(on cores: [Int], _ body: () -> Result) -> Result {
        let before = allowed()
        allow(cores)
        defer { allow(before) }
        return body()
    }

    /// Seconds that the server's cores have worked for anyone, to a hundredth.
    var busyTime: Double {
        let lines = (contents(of: "/proc/stat") ?? "").split(separator: "\n")
        return proxy.reduce(0) { sum, core in
            let fields =
                lines.first { $0.hasPrefix("cpu\(core) ") }?.split(separator: " ").map { Double($0) ?? 0 }
                ?? []
            // The fourth and the fifth number are idle time (proc(5)), those from the ninth on are in the first.
            guard fields.count > 8 else { return sum }
            let ticks = fields[1...3].reduce(0, +) + fields[6...8].reduce(0, +)
            return sum + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
        }
    }

    /// Who runs where.
    func shares(workers: Int) -> String {
        let server = workers == 1 ? "server" : "server with \(workers) workers"
        let place = proxy == [load] ? "" : " on core(s) \(proxy.map(String.init).joined(separator: ", "))"
        return "\(server)\(place), load generator and target on core \(load)"
    }

    private static func allowed() -> [Int] {
        var cores = [Int32](repeating: 0, count: 1024)
        let count = cores_allowed(&cores, Int32(cores.count))
        return cores.prefix(Int(max(0, count))).map(Int.init)
    }

    private static func allow(_ cores: [Int]) {
        let numbers = cores.map { Int32($0) }
        _ = cores_allow(numbers, Int32(numbers.count))
    }
}

/// What a reader has to know about where figures come from.
struct Machine {
    let processor: String
    let cores: Int
    /// As ``Cores/shares(workers:)`` tells.
    let shares: String
    let kernel: String
    /// The congestion control of TCP.
    let congestion: String
    let date: String
    /// Runnable processes on average in the minute before: much more than 0 makes figures worth little.
    let load: String

    init(_ cores: Cores, workers: Int) {
        let information = contents(of: "/proc/cpuinfo") ?? ""
        let model = information.split(separator: "\n").first { $0.hasPrefix("model name") }
        processor =
            model?.split(separator: ":").last.map { String($0.drop { $0 == " " }) } ?? "unknown processor"
        self.cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        shares = cores.shares(workers: workers)
        kernel = (contents(of: "/proc/sys/kernel/osrelease") ?? "unknown").filter { $0 != "\n" }
        congestion = (contents(of: "/proc/sys/net/ipv4/tcp_congestion_control") ?? "").filter { $0 != "\n" }
        load = (contents(of: "/proc/loadavg") ?? "").split(separator: " ").first.map(String.init) ?? "unknown"
        var seconds = time(nil)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func padded(_ number: Int32) -> String { String(number).padded(left: 2, with: "0") }
        date =
            "\(parts.tm_year + 1900)-\(padded(parts.tm_mon + 1))-\(padded(parts.tm_mday)) "
            + "\(padded(parts.tm_hour)):\(padded(parts.tm_min)) UTC"
    }
}
