/// The results as text: tables that Markdown understands too.
struct Tables {
    private let plan: Plan
    private let results: Results
    private let machine: Machine
    private let command: String

    init(_ plan: Plan, _ results: Results, _ machine: Machine, command: String) {
        self.plan = plan
        self.results = results
        self.machine = machine
        self.command = command
    }

    var text: String {
        ([header, figures] + [comparison, complaints].filter { !$0.isEmpty }).joined(separator: "\n\n") + "\n"
    }

    private var header: String {
        """
        Machine: \(machine.processor), \(machine.cores) core(s), Linux \(machine.kernel), TCP \
        \(machine.congestion)
        Date:    \(machine.date); medians of \(plan.rounds) round(s), \(plan.seconds.text(1)) s a run
        Cores:   \(machine.shares)
        Others:  load average \(machine.load) before; \(disturbance)
        Command: \(command)

        GB/s: bytes moved, of an echo both ways (GB = 10^9 bytes). CPU: user and system time of the server.
        UDP: 512 bytes, each way a datagram; those of 16 for each association under way that don't come back are lost.
        KB, fds: memory and descriptors of the server for an idle connection, fresh and after 100 KiB.
        all ms: until so many names that take 20 ms each, all asked for at once, are resolved and connected to.
        held MB: what the server's memory grows by while downloads are stalled.
        """
    }

    private var disturbance: String {
        let shares = results.runs.compactMap(\.sample?.disturbance)
        guard let median = shares.median, let most = shares.max() else { return "not measured meanwhile" }
        return
            "meanwhile \((median * 100).text(0)) % of the server's core(s), at most \((most * 100).text(0)) %"
    }

    /// Rows servers, columns scenarios.
    private var figures: String {
        var table = Table(plan.scenarios.map { $0.kind.figures.map(\.unit) }, plan.scenarios.map(\.title))
        for server in measured {
            table.add(
                server,
                plan.scenarios.map { scenario in
                    let runs = results.runs(server, scenario)
                    if !runs.isEmpty && runs.allSatisfy({ $0.sample == nil }) { return ["failed"] }
                    let mark = runs.contains { $0.complaint != nil } ? "*" : ""
                    return scenario.kind.figures.map { figure in
                        results.value(figure, server, scenario).map { $0.text(figure.digits) + mark } ?? "-"
                    }
                }
            )
        }
        return table.text
    }

    /// What socks5d needs relative to the others.
    private var comparison: String {
        let peers = measured.filter { peer in
            peer != Server.socks5dName
                && plan.scenarios.contains { scenario in
                    costs(scenario).contains { ratio($0, peer, scenario) != nil }
                }
        }
        guard measured.contains(Server.socks5dName), !peers.isEmpty else { return "" }
        var table = Table(plan.scenarios.map { costs($0).map(\.unit) }, plan.scenarios.map(\.title))
        for peer in peers {
            table.add(
                peer,
                plan.scenarios.map { scenario in
                    costs(scenario).map { ratio($0, peer, scenario).map { $0.text(2) } ?? "-" }
                }
            )
        }
        return "What socks5d needs, relative to (below 1: less):\n\n\(table.text)"
    }

    private var complaints: String {
        var lines = results.unusable.map { "\($0.server): \($0.reason)" }
        for run in results.runs {
            if let complaint = run.complaint {
                lines.append("* \(run.server), \(run.scenario), round \(run.round): \(complaint)")
            }
        }
        return lines.joined(separator: "\n")
    }

    private var measured: [String] {
        plan.servers.map(\.name).filter { name in
            results.runs.contains { $0.server == name } || !results.unusable.contains { $0.server == name }
        }
    }

    private func costs(_ scenario: Scenario) -> [Figure] { scenario.kind.figures.filter(\.isCost) }

    private func ratio(_ figure: Figure, _ peer: String, _ scenario: Scenario) -> Double? {
        results.ratio(figure, Server.socks5dName, to: peer, scenario)
    }
}

/// A Markdown table whose cells hold several aligned values.
private struct Table {
    private let titles: [String]
    private var rows: [(name: String, cells: [[String]])]

    init(_ units: [[String]], _ titles: [String]) {
        self.titles = titles
        rows = [("", units)]
    }

    mutating func add(_ name: String, _ cells: [[String]]) {
        rows.append((name, cells))
    }

    var text: String {
        let first = rows.map(\.name.count).max() ?? 0
        let cells = titles.indices.map { column(at: $0) }
        var lines = ["| \("".padded(right: first)) | \(cells.map { $0[0] }.joined(separator: " | ")) |"]
        lines.append("|\(String(repeating: "-", count: first + 2))|")
        for cell in cells { lines[1] += String(repeating: "-", count: cell[0].count + 1) + ":|" }
        for (index, row) in rows.enumerated() {
            let texts = cells.map { $0[index + 1] }.joined(separator: " | ")
            lines.append("| \(row.name.padded(right: first)) | \(texts) |")
        }
        return lines.joined(separator: "\n")
    }

    /// Title and cells of a column, all of one width.
    private func column(at index: Int) -> [String] {
        let cells = rows.map { $0.cells[index] }
        let count = cells[0].count
        // What doesn't have all values, as "failed", takes no part in the alignment.
        let widths = (0..<count).map { part in
            cells.filter { $0.count == count }.map { $0[part].count }.max() ?? 0
        }
        let texts = cells.map { cell in
            cell.count == count
                ? zip(cell, widths).map { $0.padded(left: $1) }.joined(separator: "  ")
                : cell.joined(separator: "  ")
        }
        let lines = [titles[index]] + texts
        let width = lines.map(\.count).max() ?? 0
        return lines.map { $0.padded(left: width) }
    }
}
