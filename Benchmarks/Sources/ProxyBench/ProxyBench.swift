internal import ArgumentParser
internal import Glibc

/// `ProxyBench`: measures socks5d beside other proxies, all in turn on the same machine.
@main
struct ProxyBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ProxyBench",
        abstract: "Measure socks5d beside other proxies over loopback.",
        discussion: """
            Every run is a fresh server on one core, with load generator and target on another. Judge by \
            processor time a unit of work and by ratios within one benchmark: absolute figures tell as much \
            about the machine as about the server.

            Servers: \(Server.known(socks5d: "").map(\.name).joined(separator: ", ")), and those of --peer. \
            'direct' is no proxy at all; haproxy forwards without a handshake.

            Scenarios: \(Scenario.standard.map(\.name).joined(separator: ", ")); the number is that of the \
            connections, and any from 1 to 10000 will do. Download, upload, echo: as much as passes. Cycles: \
            connect, handshake, a byte there and one back, close; logins: the same with user and password. \
            Ping-pong: 64 bytes there and back; \
            beside bulk: next to 8 downloads. Idle: memory and descriptors. Stalled: \
            memory with so many downloads that nobody reads. UDP: datagrams of 512 bytes there \
            and back, with servers that know UDP ASSOCIATE; the number is that of associations. Names: so \
            many names at once that DNS resolves after 20 ms, until every client has its answer; in a network \
            namespace, so that it takes root.
            """
    )

    @Option(help: "The socks5d to measure.")
    var socks5d: String
    @Option(help: "Seconds of a run.")
    var seconds = 2.0
    @Option(help: "Workers of a server that can be told how many; so many cores are the server's.")
    var workers = 1
    @Option(help: "Rounds, of which each figure is the median.")
    var rounds = 3
    @Option(help: "A scenario, repeatable (default: all of the above).")
    var scenario: [String] = []
    @Option(help: "A server, repeatable (default: all of the above).")
    var server: [String] = []
    @Option(help: ArgumentHelp("One more SOCKS5 server, repeatable.", valueName: "name=command with {port}"))
    var peer: [String] = []
    @Option(
        help: "TCP congestion control, in a network namespace of the benchmark's own (default: the system's)."
    )
    var congestion: String?
    @Option(help: "Write everything to this file too.")
    var json: String?

    private func plan() throws -> Plan {
        guard seconds >= 0.1, seconds <= 3600 else { throw ValidationError("--seconds: from 0.1 to 3600") }
        guard (1...1000).contains(rounds) else { throw ValidationError("--rounds: from 1 to 1000") }
        guard (1...64).contains(workers) else { throw ValidationError("--workers: from 1 to 64") }
        let scenarios = try scenario.map { name in
            guard let scenario = Scenario(name: name) else {
                let kinds = Kind.all.map { "\($0.name)-N" }.joined(separator: ", ")
                throw ValidationError("--scenario \(name): expected one of \(kinds)")
            }
            return scenario
        }
        var servers = Server.known(socks5d: socks5d)
        for text in peer {
            guard let peer = Server.peer(text), !servers.contains(where: { $0.name == peer.name }) else {
                throw ValidationError("--peer \(text): expected NEWNAME=COMMAND with {port} in it")
            }
            servers.append(peer)
        }
        for name in server where !servers.contains(where: { $0.name == name }) {
            let names = servers.map(\.name).joined(separator: ", ")
            throw ValidationError("--server \(name): expected one of \(names)")
        }
        return Plan(
            servers: server.isEmpty ? servers : servers.filter { server.contains($0.name) },
            scenarios: scenario.isEmpty ? Scenario.standard : scenarios,
            rounds: rounds,
            seconds: seconds
        )
    }

    /// What gives the same benchmark again.
    private var command: String {
        var arguments = CommandLine.arguments.dropFirst()
        if let index = arguments.firstIndex(of: "--socks5d") { arguments.removeSubrange(index...(index + 1)) }
        if arguments.isEmpty { return "make bench" }
        let quoted = arguments.map { $0.contains(" ") ? "\"\($0)\"" : $0 }
        return "make bench BENCH='\(quoted.joined(separator: " "))'"
    }

    func validate() throws {
        _ = try plan()
    }

    func run() throws {
        var plan = try plan()
        raiseDescriptors()
        Interrupts.hold()
        do throws(Failure) {
            let workshop = try Workshop(workers: workers)
            defer { workshop.remove() }
            try moveIntoNamespace(for: &plan, in: workshop)
            let machine = Machine(workshop.cores, workers: workers)
            var benchmark = Benchmark(plan, in: workshop)
            let results = try benchmark.run()
            print(Tables(plan, results, machine, command: command).text, terminator: "")
            if let json { try write(JSON(plan, results, machine, command: command).text, to: json) }
            if results.hasFailed(Server.socks5dName) { throw .failed("socks5d has failed, see above") }
        } catch {
            switch error {
            case .failed(let reason):
                try? write("ProxyBench: \(reason)\n", to: STDERR_FILENO, called: "standard error")
                throw ExitCode(1)
            case .interrupted(let signal):
                throw ExitCode(128 + signal)
            }
        }
    }

    /// Where names or congestion control have to be the benchmark's own; names can be left out.
    private func moveIntoNamespace(for plan: inout Plan, in workshop: Workshop) throws(Failure) {
        if let congestion {
            try Namespace.enter()
            try Namespace.set(congestion: congestion)
        }
        guard plan.resolvesNames else { return }
        do {
            if congestion == nil { try Namespace.enter() }
            try Namespace.setResolver(at: "\(workshop.folder)/resolv.conf")
        } catch .failed(let reason) where plan.hasMoreThanNames {
            plan.leaveOutNames()
            try write("names: left out: \(reason)\n", to: STDERR_FILENO, called: "standard error")
        }
    }

    /// As many as 10000 connections take, or as the hard limit allows, for the servers too, which inherit them.
    private func raiseDescriptors() {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0 else { return }
        var raised = rlimit(rlim_cur: Server.descriptors, rlim_max: max(limit.rlim_max, Server.descriptors))
        if setrlimit(resource, &raised) == 0 { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(resource, &limit)
    }
}
