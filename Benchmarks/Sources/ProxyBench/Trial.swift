internal import Glibc

/// What all runs have in common.
struct Workshop {
    let cores: Cores
    /// Threads of a server that can be told how many.
    let workers: Int
    /// Where the load generator and the echo server are: beside this program.
    let tools: String
    /// For what the servers need on disk; ours alone.
    let folder: String

    init(workers: Int) throws(Failure) {
        self.workers = workers
        cores = try Cores.found(workers: workers)
        var path = [CChar](repeating: 0, count: 4096)
        guard readlink("/proc/self/exe", &path, path.count - 1) > 0 else { throw .system("/proc/self/exe") }
        tools = String(cString: &path).split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
        var template = Array("/tmp/proxybench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw .system("mkdtemp") }
        folder = String(cString: &template)
        // A server that drops its privileges must find its files.
        chmod(folder, 0o755)
    }

    func remove() {
        guard let entries = opendir(folder) else { return }
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            unlink("\(folder)/\(name)")
        }
        closedir(entries)
        rmdir(folder)
    }
}

/// One server under one load, with fresh processes: target, server, load generator.
struct Trial {
    private let workshop: Workshop
    private let server: Server
    private let target: Child
    private let targetPort: Int
    private let proxy: (child: Child, port: Int)?

    /// Runs `body` with target and server up, and with a DNS server where names are resolved; they are gone
    /// afterwards.
    static func with<Result>(
        _ server: Server,
        in workshop: Workshop,
        names: Bool = false,
        _ body: (Trial) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let log = "\(workshop.folder)/log"
        unlink(log)
        let target = try Child(
            ["\(workshop.tools)/CEcho", "127.0.0.1:0"],
            on: [workshop.cores.load],
            .lines(errors: log)
        )
        defer { target.finish() }
        guard let port = try Int(target.line(within: 10).split(separator: ":").last ?? "") else {
            throw .failed("CEcho doesn't say where it listens")
        }
        let resolver =
            names
            ? try Child(
                ["\(workshop.tools)/CNames"],
                on: [workshop.cores.load],
                .lines(errors: log)
            ) : nil
        defer { resolver?.finish() }
        _ = try resolver?.line(within: 10)
        let proxy = try start(server, target: port, in: workshop, log)
        defer { proxy?.child.finish() }
        let trial = Trial(workshop: workshop, server: server, target: target, targetPort: port, proxy: proxy)
        do {
            return try body(trial)
        } catch .failed(let reason) where proxy?.child.hasEnded == true {
            throw .failed("it has ended\(proxy?.child.howItEnded() ?? ""); \(reason)")
        }
    }

    // MARK: - Server

    private static func start(
        _ server: Server,
        target: Int,
        in workshop: Workshop,
        _ log: String
    ) throws(Failure) -> (child: Child, port: Int)? {
        if case .direct = server.route { return nil }
        guard let path = server.path else { throw .failed("not installed") }
        let place = Server.Place(
            port: try Port.free(),
            target: target,
            workers: workshop.workers,
            configuration: "\(workshop.folder)/\(server.name).conf",
            folder: workshop.folder
        )
        if let configuration = server.configuration {
            try write(configuration(place), to: place.configuration)
        }
        let child = try Child(
            [path] + server.arguments(place),
            on: workshop.cores.proxy,
            .file(log),
            environment: ["TMPDIR": workshop.folder]
        )
        do {
            try Port.waitForListener(on: place.port, of: child)
        } catch .failed(let reason) {
            child.finish()
            let said = (contents(of: log) ?? "").split(separator: "\n").suffix(3).joined(separator: " | ")
            throw .failed(said.isEmpty ? reason : "\(reason); it says: \(said)")
        } catch {
            child.finish()
            throw error
        }
        return (child, place.port)
    }

    private var tree: ProcessTree? { proxy.map { ProcessTree(of: $0.child.pid) } }

    // MARK: - Load

    private func generator(_ arguments: [String]) throws(Failure) -> Child {
        let route: [String]
        switch (server.route, proxy) {
        case (.socks5, let proxy?):
            route = ["--target", "127.0.0.1:\(targetPort)", "--proxy", "127.0.0.1:\(proxy.port)"]
        case (.forwarded, let proxy?):
            route = ["--target", "127.0.0.1:\(proxy.port)"]
        case (_, _):
            route = ["--target", "127.0.0.1:\(targetPort)"]
        }
        let login = server.asksForLogin ? ["--user", Server.user] : []
        let watched = proxy.map { ["--server", "\($0.child.pid)"] } ?? []
        return try Child(
            ["\(workshop.tools)/LoadGenerator"] + route + login + watched + arguments,
            on: [workshop.cores.load],
            .lines(errors: "\(workshop.folder)/log")
        )
    }

    /// Sends data there and back, every byte of it compared.
    func verify() throws(Failure) {
        try verify("verify", connections: 8)
    }

    /// The same with datagrams, none of which may be lost.
    func verifyDatagrams() throws(Failure) {
        try verify("verify-datagrams", connections: 2)
    }

    private func verify(_ mode: String, connections: Int) throws(Failure) {
        let generator = try generator(["--mode", mode, "--connections", "\(connections)"])
        defer { generator.finish() }
        let report = Report(try generator.line(within: 90))
        if report.errors > 0 { throw .failed(try problem(generator)) }
    }

    /// - Parameter live: called about once a second with what has been measured so far.
    func measure(
        _ scenario: Scenario,
        seconds: Double,
        live: (Sample) -> Void
    ) throws(Failure) -> Sample {
        let load = ["--mode"] + scenario.kind.mode + ["--connections", "\(scenario.connections)"]
        if scenario.kind.isIdle { return try measureIdle(load) }
        let generator = try generator(load + ["--seconds", "\(seconds)"])
        defer { generator.finish() }
        guard try generator.line(within: 30) == "begin" else {
            throw .failed("the load generator doesn't begin")
        }
        let started = now()
        let busy = workshop.cores.busyTime
        var moved = 0.0
        var lastMove = started
        while true {
            let report = Report(try generator.line(within: 15))
            var sample = report.sample
            let elapsed = now() - started
            if sample.bytes + sample.units > moved {
                moved = sample.bytes + sample.units
                lastMove = now()
            }
            guard report.word == "end" else {
                sample.seconds = elapsed
                live(sample)
                continue
            }
            let busyTime = (workshop.cores.busyTime - busy) / elapsed
            let others = max(0, busyTime - (sample.processor ?? 0) / sample.seconds)
            let disturbance = others / Double(workshop.cores.proxy.count)
            sample.disturbance = disturbance
            if report.errors > 0 { sample.problem = try problem(generator) }
            // A server that gets no processor time can't help it.
            let hasStalled = disturbance < 0.5 && now() - lastMove > Self.secondsToStall
            if moved == 0 || hasStalled { throw .failed(sample.problem ?? "nothing moves any more") }
            if proxy?.child.hasEnded == true { throw .failed(sample.problem ?? "no error seen") }
            return sample
        }
    }

    /// Without progress at the end. Reports come once a second.
    private static let secondsToStall = 0.9

    private func measureIdle(_ load: [String]) throws(Failure) -> Sample {
        let before = try settled()
        let generator = try generator(load)
        defer { generator.finish() }
        let fresh = Report(try generator.line(within: 60))
        var sample = fresh.sample
        if fresh.errors > 0 { sample.problem = try problem(generator) }
        guard sample.units > 0 else { throw .failed(sample.problem ?? "no connection") }
        if let before, let after = try settled() {
            sample.memoryFresh = (after.memory - before.memory) / sample.units
            sample.descriptors = (after.descriptors - before.descriptors) / sample.units
        }
        try generator.goOn()
        let used = Report(try generator.line(within: 90))
        if let before, let after = try settled() {
            sample.memoryUsed = (after.memory - before.memory) / sample.units
        }
        if used.errors > fresh.errors {
            if sample.problem == nil { sample.problem = try problem(generator) }
            sample.errors = used.errors
        }
        return sample
    }

    /// What the server holds, once that doesn't change any more: clients may be served before it is ready.
    private func settled() throws(Failure) -> (memory: Double, descriptors: Double)? {
        guard proxy != nil else { return nil }
        var last = (memory: -1.0, descriptors: -1.0)
        for _ in 0..<20 {
            let tree = tree
            let next = (memory: tree?.memory ?? 0, descriptors: tree?.descriptors ?? 0)
            if next == last { break }
            last = next
            try Interrupts.check()
            usleep(100_000)
        }
        return last
    }

    private func problem(_ generator: Child) throws(Failure) -> String {
        let line = try generator.line(within: 5)
        return line.hasPrefix("problem ") ? String(line.dropFirst(8)) : line
    }
}

/// A line of the load generator: a word, and `key=number` pairs.
private struct Report {
    let word: String
    private var values: [Substring: Double] = [:]
    private static let times: Set<Substring> = ["p50", "p90", "p99", "p999", "max"]

    init(_ line: String) {
        let parts = line.split(separator: " ")
        word = parts.first.map(String.init) ?? ""
        for part in parts.dropFirst() {
            let pair = part.split(separator: "=")
            if pair.count == 2 { values[pair[0]] = Double(pair[1]) }
        }
    }

    var errors: Int { Int(values["errors"] ?? 0) }

    var sample: Sample {
        var sample = Sample(seconds: values["seconds"] ?? 0, bytes: values["bytes"] ?? 0)
        sample.units = values["units"] ?? 0
        sample.errors = errors
        sample.lost = values["lost"] ?? 0
        sample.processor = values["processor"]
        for (name, value) in values where sample.units > 0 && Self.times.contains(name) {
            sample.times[String(name)] = value / 1e9
        }
        return sample
    }
}

/// Ports of 127.0.0.1.
private enum Port {
    static let secondsToListen = 10.0

    /// One that nobody uses now.
    static func free() throws(Failure) -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(1, 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw .system("a free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    static func waitForListener(on port: Int, of child: Child) throws(Failure) {
        let end = now() + secondsToListen
        while true {
            try Interrupts.check()
            if child.hasEnded { throw .failed("it ends at once\(child.howItEnded())") }
            if isListening(port) { return }
            if now() > end { throw .failed("it doesn't listen within \(Int(secondsToListen)) s") }
            usleep(2000)
        }
    }

    /// Asks from 127.0.0.2: a socket that happens to get the same address and port connects to itself.
    private static func isListening(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var ours = loopback(2, 0)
        var theirs = loopback(1, port)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafePointer(to: &ours) { ours in
            withUnsafePointer(to: &theirs) { theirs in
                ours.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) == 0 }
                    && theirs.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        connect(descriptor, $0, size) == 0
                    }
            }
        }
    }

    /// 127.0.0.`host`
    private static func loopback(_ host: UInt32, _ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = (0x7f00_0000 | host).bigEndian
        return address
    }
}
