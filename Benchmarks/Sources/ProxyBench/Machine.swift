internal import CCores
internal import Glibc

/// The cores that the benchmark uses.
struct Cores {
    let proxy: Int
    let load: Int

    /// The first two that this process may use; one for all where there is only one.
    static func found() throws(Failure) -> Cores {
        let allowed = allowed()
        guard let first = allowed.first else { throw .system("cores") }
        return Cores(proxy: first, load: allowed.dropFirst().first ?? first)
    }

    /// Calls with this thread on one core; what is started meanwhile stays there.
    static func running<Result>(on core: Int, _ body: () -> Result) -> Result {
        let before = allowed()
        allow([core])
        defer { allow(before) }
        return body()
    }

    /// Seconds that a core has worked for anyone, to a hundredth.
    static func busyTime(of core: Int) -> Double {
        let lines = (contents(of: "/proc/stat") ?? "").split(separator: "\n")
        let fields =
            lines.first { $0.hasPrefix("cpu\(core) ") }?.split(separator: " ").map { Double($0) ?? 0 } ?? []
        // The fourth and the fifth number are idle time (proc(5)), those from the ninth on are in the first.
        guard fields.count > 8 else { return 0 }
        return (fields[1...3].reduce(0, +) + fields[6...8].reduce(0, +)) / Double(sysconf(Int32(_SC_CLK_TCK)))
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
    /// Who runs where.
    let shares: String
    let kernel: String
    /// The congestion control of TCP.
    let congestion: String
    let date: String
    /// Runnable processes on average in the minute before: much more than 0 makes figures worth little.
    let load: String

    init(_ cores: Cores) {
        let information = contents(of: "/proc/cpuinfo") ?? ""
        let model = information.split(separator: "\n").first { $0.hasPrefix("model name") }
        processor =
            model?.split(separator: ":").last.map { String($0.drop { $0 == " " }) } ?? "unknown processor"
        self.cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        shares =
            cores.proxy == cores.load
            ? "server, load generator and target on core \(cores.load)"
            : "server on core \(cores.proxy), load generator and target on core \(cores.load)"
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
