/// As much of JSON (RFC 8259) as writing results takes.
enum JSON {
    case null
    case number(Double)
    case string(String)
    case array([JSON])
    case object([(String, JSON)])

    static func optional(_ value: Double?) -> JSON { value.map { .number($0) } ?? .null }
    static func optional(_ value: String?) -> JSON { value.map { .string($0) } ?? .null }

    var text: String { text(indented: "") + "\n" }

    private func text(indented indent: String) -> String {
        let deeper = indent + "  "
        func lines(_ items: [String], _ open: String, _ close: String) -> String {
            items.isEmpty
                ? open + close
                : "\(open)\n" + items.map { deeper + $0 }.joined(separator: ",\n") + "\n\(indent)\(close)"
        }
        switch self {
        case .null: return "null"
        case .number(let value):
            return !value.isFinite ? "null" : Int(exactly: value).map(String.init) ?? "\(value)"
        case .string(let text): return Self.quoted(text)
        case .array(let items): return lines(items.map { $0.text(indented: deeper) }, "[", "]")
        case .object(let pairs):
            return lines(pairs.map { "\(Self.quoted($0)): \($1.text(indented: deeper))" }, "{", "}")
        }
    }

    private static func quoted(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "\"") { result, scalar in
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case " "...: result.unicodeScalars.append(scalar)
            default: result += "\\u" + String(scalar.value, radix: 16).padded(left: 4, with: "0")
            }
        } + "\""
    }
}

extension JSON {
    /// All that a benchmark has found: medians, and every run.
    init(_ plan: Plan, _ results: Results, _ machine: Machine, command: String) {
        self = .object([
            (
                "machine",
                .object([
                    ("processor", .string(machine.processor)), ("cores", .number(Double(machine.cores))),
                    ("shares", .string(machine.shares)), ("kernel", .string(machine.kernel)),
                    ("congestionControl", .string(machine.congestion)),
                    ("load", .string(machine.load)),
                ])
            ),
            ("date", .string(machine.date)),
            ("command", .string(command)),
            ("seconds", .number(plan.seconds)),
            ("rounds", .number(Double(plan.rounds))),
            ("medians", .array(plan.scenarios.flatMap { JSON.medians(plan, results, $0) })),
            (
                "unusable",
                .array(
                    results.unusable.map {
                        .object([("server", .string($0.server)), ("reason", .string($0.reason))])
                    }
                )
            ),
            ("runs", .array(results.runs.map(JSON.init))),
        ])
    }

    private static func medians(_ plan: Plan, _ results: Results, _ scenario: Scenario) -> [JSON] {
        plan.servers.compactMap { server in
            guard results.runs(server.name, scenario).contains(where: { $0.sample != nil }) else {
                return nil
            }
            var pairs: [(String, JSON)] = [
                ("server", .string(server.name)), ("scenario", .string(scenario.name)),
            ]
            for figure in scenario.kind.figures {
                let value = results.value(figure, server.name, scenario)
                pairs.append(("\(figure.name), \(figure.unit)", .optional(value)))
                if figure.isCost && server.name != Server.socks5dName {
                    if let ratio = results.ratio(figure, Server.socks5dName, to: server.name, scenario) {
                        pairs.append(("socks5d relative to it, \(figure.unit)", .number(ratio)))
                    }
                }
            }
            return .object(pairs)
        }
    }

    private init(_ run: Results.Run) {
        var pairs: [(String, JSON)] = [
            ("round", .number(Double(run.round))), ("server", .string(run.server)),
            ("scenario", .string(run.scenario)),
        ]
        if let sample = run.sample {
            pairs += [
                ("seconds", .number(sample.seconds)), ("bytes", .number(sample.bytes)),
                ("units", .number(sample.units)), ("errors", .number(Double(sample.errors))),
                ("lost", .number(sample.lost)),
                ("processorSeconds", .optional(sample.processor)),
                ("disturbance", .optional(sample.disturbance)),
            ]
            pairs += sample.times.sorted { $0.key < $1.key }.map { ("\($0.key)Seconds", .number($0.value)) }
            pairs += [
                ("memoryFresh", sample.memoryFresh), ("memoryUsed", sample.memoryUsed),
                ("descriptors", sample.descriptors),
            ].compactMap { name, value in value.map { (name, .number($0)) } }
        }
        pairs.append(("problem", .optional(run.complaint)))
        self = .object(pairs)
    }
}
