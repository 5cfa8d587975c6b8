internal import Glibc

/// What is to be measured, and how often.
struct Plan {
    let servers: [Server]
    private(set) var scenarios: [Scenario]
    let rounds: Int
    let seconds: Double

    /// Seconds that a run takes beside those in which it measures.
    static let overhead = 0.5

    var resolvesNames: Bool { scenarios.contains(where: \.kind.resolvesNames) }

    var hasMoreThanNames: Bool { scenarios.contains { !$0.kind.resolvesNames } }

    mutating func leaveOutNames() { scenarios.removeAll(where: \.kind.resolvesNames) }
}

/// What came out.
struct Results {
    enum Outcome {
        case measured(Sample)
        case failed(String)
    }

    struct Run {
        let round: Int
        let server: String
        let scenario: String
        let outcome: Outcome
    }

    private(set) var runs: [Run] = []
    /// Servers that were not measured at all, with the reason.
    private(set) var unusable: [(server: String, reason: String)] = []

    mutating func add(_ run: Run) { runs.append(run) }
    mutating func addUnusable(_ server: String, _ reason: String) { unusable.append((server, reason)) }

    func runs(_ server: String, _ scenario: Scenario) -> [Run] {
        runs.filter { $0.server == server && $0.scenario == scenario.name }
    }

    /// The median over the rounds.
    func value(_ figure: Figure, _ server: String, _ scenario: Scenario) -> Double? {
        runs(server, scenario).compactMap { $0.sample.flatMap(figure.value) }.median
    }

    /// What a server needs relative to another: the median of the rounds' ratios, since what disturbs a round
    /// disturbs both.
    func ratio(_ figure: Figure, _ server: String, to other: String, _ scenario: Scenario) -> Double? {
        runs(server, scenario).compactMap { run in
            let others = runs(other, scenario).first { $0.round == run.round }
            guard let value = run.sample.flatMap(figure.value),
                let base = others?.sample.flatMap(figure.value),
                base > 0
            else { return nil }
            return value / base
        }.median
    }

    /// Whether a server has lost a byte, refused a connection, or ended.
    func hasFailed(_ server: String) -> Bool {
        unusable.contains { $0.server == server }
            || runs.contains { $0.server == server && $0.complaint != nil }
    }
}

extension Results.Run {
    var sample: Sample? {
        switch outcome {
        case .measured(let sample): sample
        case .failed: nil
        }
    }

    /// What went wrong, if anything.
    var complaint: String? {
        switch outcome {
        case .measured(let sample):
            sample.errors > 0 ? "\(sample.errors) errors, the first: \(sample.problem ?? "unknown")" : nil
        case .failed(let reason): reason
        }
    }
}

/// Runs a plan: first every server once with checked data, then the rounds.
struct Benchmark {
    private let plan: Plan
    private let workshop: Workshop
    private let progress = Progress()
    private var results = Results()

    init(_ plan: Plan, in workshop: Workshop) {
        self.plan = plan
        self.workshop = workshop
    }

    mutating func run() throws(Failure) -> Results {
        defer { progress.clear() }
        let usable = try verified()
        func suitable(_ scenario: Scenario) -> [Server] {
            usable.filter { server in
                (!scenario.kind.usesDatagrams || server.relaysDatagrams)
                    && (!scenario.kind.logsIn || server.loginArguments != nil)
                    && (!scenario.kind.resolvesNames || server.isProxy)
            }
        }
        var left = plan.scenarios.map { suitable($0).count }.reduce(0, +) * plan.rounds
        for round in 1...plan.rounds {
            for scenario in plan.scenarios {
                // Servers one behind the other, so that they are compared under the same conditions.
                for server in suitable(scenario) {
                    let outcome = try measure(server, scenario, round, left)
                    results.add(
                        Results.Run(
                            round: round,
                            server: server.name,
                            scenario: scenario.name,
                            outcome: outcome
                        )
                    )
                    left -= 1
                }
            }
        }
        return results
    }

    private mutating func verified() throws(Failure) -> [Server] {
        var usable: [Server] = []
        for server in plan.servers {
            guard server.isThere else {
                progress.note("\(server.name): not installed, left out")
                results.addUnusable(server.name, "not installed")
                continue
            }
            progress.show("checking the data that passes \(server.name)")
            if try !check(server, { (trial) throws(Failure) in try trial.verify() }) { continue }
            var server = server
            if server.relaysDatagrams && plan.scenarios.contains(where: \.kind.usesDatagrams) {
                server.relaysDatagrams = try check(server) { (trial) throws(Failure) in
                    try trial.verifyDatagrams()
                }
            }
            usable.append(server)
        }
        return usable
    }

    /// - Returns: false where a server doesn't pass, which is noted.
    private mutating func check(_ server: Server, _ body: (Trial) throws(Failure) -> Void) throws(Failure)
        -> Bool
    {
        do {
            try Trial.with(server, in: workshop, body)
            return true
        } catch .failed(let reason) {
            progress.note("\(server.name): left out: \(reason)")
            results.addUnusable(server.name, reason)
            return false
        }
    }

    private func measure(
        _ server: Server,
        _ scenario: Scenario,
        _ round: Int,
        _ left: Int
    ) throws(Failure) -> Results.Outcome {
        let begin = now()
        let remaining = Double(left) * (plan.seconds + Plan.overhead)
        func line(_ what: String) -> String {
            let rest = max(0, remaining - (now() - begin))
            return "round \(round) of \(plan.rounds)  \(scenario.title.padded(right: 24))  "
                + "\(server.name.padded(right: 14))  \(what.padded(right: 15))  "
                + "\(left) runs left, about \(Self.time(rest))"
        }
        progress.show(line(""))
        do {
            let server = scenario.kind.logsIn ? server.withLogin : server
            let sample = try Trial.with(server, in: workshop, names: scenario.kind.resolvesNames) {
                (trial) throws(Failure) in
                try trial.measure(scenario, seconds: plan.seconds) {
                    progress.show(line(Self.brief($0)))
                }
            }
            progress.finish(line(Self.brief(sample)))
            return .measured(sample)
        } catch .failed(let reason) {
            progress.note("\(server.name), \(scenario.title): \(reason)")
            return .failed(reason)
        }
    }

    private static func brief(_ sample: Sample) -> String {
        if sample.bytes > 0 { return Figure.throughput.value(sample).map { "\($0.text(2)) GB/s" } ?? "" }
        return Figure.rate.value(sample).map { "\($0.text(0)) a second" } ?? ""
    }

    private static func time(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded())
        return whole < 60 ? "\(whole) s" : "\(whole / 60) min \(whole % 60) s"
    }
}

/// One line on standard error that changes; on anything but a terminal a line a run.
private struct Progress {
    private let isTerminal = isatty(STDERR_FILENO) == 1

    func show(_ text: String) {
        if isTerminal { put("\r\u{1b}[K\(text)") }
    }

    /// The last one of a run: where lines can't change, the only one.
    func finish(_ text: String) {
        if !isTerminal { put("\(text)\n") }
    }

    /// A line that stays.
    func note(_ text: String) {
        put(isTerminal ? "\r\u{1b}[K\(text)\n" : "\(text)\n")
    }

    func clear() {
        if isTerminal { put("\r\u{1b}[K") }
    }

    private func put(_ text: String) {
        try? write(text, to: STDERR_FILENO, called: "standard error")
    }
}
