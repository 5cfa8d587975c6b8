import Glibc
import SOCKS5Protocol
import SOCKS5Server
import TestSupport
import Testing

@testable import SOCKS5Admin

/// The metrics as read by Prometheus, by Debian's promtool.
@Suite struct PrometheusTests {
    private static let folder = projectFolder + "/deploy"

    private static func promtool(_ arguments: [String], input: String = "/dev/null") throws -> String {
        let end = try ChildProcess(["promtool"] + arguments, input: input).waitForEnd()
        #expect(end.exitCode == 0, "\(end.output) \(end.errors)")
        return end.output
    }

    /// A server that has had sessions of each kind, and users with names of all kinds.
    private func scrape() async throws -> String {
        try await withAdmin(proxy: {
            $0.users = ["alice", "\"><script>", "a\\b\nc", "x\u{202e}y", "jürgen"].map {
                ProxyUser(name: $0, password: "secret")
            }
            $0.limits.user.quota = Quota(bytes: 1 << 20, period: .day)
            $0.parents = ["far", "a\\b\nc \"x\" \u{202e}"].map {
                Parent($0, .socks5, at: .unix(path: "/tmp/socks5d-nobody.sock"))
            }
        }) { rig in
            let listener = try TestListener()
            defer { listener.close() }
            let client = try TestSocket(connectingTo: rig.proxyPort)
            try client.send(Greeting(methods: [.usernamePassword]))
            try client.send(Credentials(username: "a\\b\nc", password: "secret"))
            try client.send(SOCKSRequest(command: .connect, destination: .loopback(listener.port)))
            let target = try listener.accept()
            try client.send([1, 2, 3])
            _ = try target.receive(3)
            try TestSocket(connectingTo: rig.proxyPort).close()
            try eventually("the end of a probe") { rig.proxy.statistics[.ended] == 1 }
            // A worker counts bytes after the socket has accepted them, so their reader may see them first.
            let counted = #"direction="sent"} 3"#
            try eventually("the bytes are counted") { try rig.ask("GET /metrics").text.contains(counted) }
            let answer = try rig.ask("GET /metrics")
            #expect(answer.headers["content-type"] == MetricsFormat.prometheus.contentType)
            client.close()
            target.close()
            return answer.text
        }
    }

    @Test func openMetricsIsServedOnRequest() async throws {
        try await withAdmin { rig in
            let answer = try rig.ask("GET /metrics", "Accept: application/openmetrics-text;version=1.0.0")
            #expect(answer.headers["content-type"] == MetricsFormat.openMetrics.contentType)
            #expect(answer.text.hasSuffix("\n# EOF\n"))
        }
    }

    @Test(.promtool) func promtoolFindsNothingWrongWithAScrape() async throws {
        let text = try await scrape()
        #expect(text.contains("socks5d_user_bytes_total{user=\"a\\\\b%0Ac\",direction=\"sent\"} 3\n"))
        #expect(text.contains("socks5d_parent_up{parent=\"far\"} 1\n"))
        #expect(text.contains("socks5d_parent_connections_total{parent=\"far\",result=\"timed_out\"} 0\n"))
        try await withFile(Array(text.utf8)) { file in
            let complaints = try Self.promtool(["check", "metrics"], input: file)
            #expect(complaints.isEmpty)
        }
    }

    @Test(.promtool) func alertRulesAreValidAndRaiseTheRightAlerts() throws {
        _ = try Self.promtool(["check", "rules", Self.folder + "/prometheus/socks5d.rules.yml"])
        _ = try Self.promtool(["test", "rules", Self.folder + "/prometheus/socks5d.rules.test.yml"])
    }

    /// The names in the expressions of a file.
    private static func names(in text: String) -> Set<String> {
        var names: Set<String> = []
        for word in text.split(whereSeparator: { !($0.isLetter || $0.isNumber || $0 == "_") }) {
            if word.hasPrefix("socks5d_") || word.hasPrefix("process_") { names.insert(String(word)) }
        }
        return names
    }

    /// The expressions of a dashboard: the values of `expr` and `query`.
    private static func expressions(in json: String) -> [String] {
        json.split(separator: "\"expr\": \"").dropFirst().map { part in
            var text = ""
            var isEscaped = false
            for character in part {
                if isEscaped {
                    text.append(character)
                    isEscaped = false
                } else if character == "\\" {
                    isEscaped = true
                } else if character == "\"" {
                    break
                } else {
                    text.append(character)
                }
            }
            return text
        }
    }

    private static func read(_ file: String) throws -> String { try readFile("\(folder)/\(file)") }

    @Test func alertsAndDashboardAskForMetricsThatAreThere() async throws {
        let dashboard = try Self.read("grafana/socks5d.json")
        let expressions = Self.expressions(in: dashboard)
        #expect(expressions.count > 50)
        let asked = Self.names(in: try Self.read("prometheus/socks5d.rules.yml")).union(
            Self.names(in: expressions.joined(separator: " "))
        )
        var known: Set<String> = []
        for line in try await scrape().split(separator: "\n") where line.hasPrefix("# TYPE ") {
            let (name, kind) = (line.split(separator: " ")[2], line.split(separator: " ")[3])
            for ending in kind == "histogram" ? ["_bucket", "_sum", "_count"] : [""] {
                known.insert(name + ending)
            }
        }
        for name in asked { #expect(known.contains(name), "\(name)") }
        let shown = Self.names(in: expressions.joined(separator: " "))
        for family in MetricFamily.all where family.name.hasPrefix("socks5d_") {
            let names = [family.name, family.name + "_bucket"]
            #expect(names.contains { shown.contains($0) }, "\(family.name) is on no panel")
        }
    }

    @Test(.promtool) func expressionsOfTheDashboardAreRight() async throws {
        let expressions = Self.expressions(in: try Self.read("grafana/socks5d.json"))
        var rules = "groups:\n- name: dashboard\n  rules:\n"
        for (index, expression) in expressions.enumerated() {
            let filled = expression.split(separator: "$__rate_interval").joined(separator: "5m")
            let quoted = filled.split(separator: "'", omittingEmptySubsequences: false).joined(
                separator: "''"
            )
            rules += "  - {record: 'panel:\(index)', expr: '\(quoted)'}\n"
        }
        try await withFile(Array(rules.utf8)) { _ = try Self.promtool(["check", "rules", $0]) }
    }

    /// The table of the documentation lists exactly the exported families.
    @Test func theDocumentationTellsOfEachFamily() async throws {
        let text = try readFile(projectFolder + "/docs/monitoring.md")
        let scraped = try await scrape().split(separator: "\n")
        let helps = scraped.filter { $0.hasPrefix("# HELP ") }.map { $0.dropFirst(7) }
        let types = scraped.filter { $0.hasPrefix("# TYPE ") }.map { $0.dropFirst(7) }
        #expect(helps.count == MetricFamily.all.count && types.count == helps.count)
        var rows: [String] = []
        for (help, type) in zip(helps, types) {
            let (name, kind) = (type.split(separator: " ")[0], type.split(separator: " ")[1])
            let labels = MetricFamily.all.first { $0.name == name }?.labels ?? []
            let listed = labels.map { "`\($0)`" }.joined(separator: ", ")
            rows.append("| `\(name)` | \(kind) | \(listed) | \(help.dropFirst(name.count + 1)) |")
        }
        let found = text.split(separator: "\n").filter {
            $0.hasPrefix("| `socks5d_") || $0.hasPrefix("| `process_")
        }
        #expect(found.map(String.init) == rows)
    }

    /// 1,000 users with metrics of their own and many sessions: no worker iterates over them.
    @Test(.enabled(if: !isQuick, "a sanitizer is slow"))
    func aScrapeOfManyUsersAndSessionsIsFast() async throws {
        let sessions = min(1000, (try raiseDescriptorLimit() - 512) / 2)
        try await withAdmin(proxy: {
            $0.users = (0..<1000).map { ProxyUser(name: "user\($0)", password: "x") }
            $0.limits.user.quota = Quota(bytes: 1 << 40, period: .month)
        }) { rig in
            var clients: [TestSocket] = []
            for _ in 0..<sessions { clients.append(try TestSocket(connectingTo: rig.proxyPort)) }
            try eventually("all sessions") { rig.proxy.statistics.active == sessions }
            var fastest = Duration.seconds(60)
            for _ in 0..<10 {
                let began = ContinuousClock.now
                let bytes = MetricsText.bytes(MetricsInput(rig.proxy.metrics(), version: "1"))
                fastest = min(fastest, ContinuousClock.now - began)
                #expect(bytes.count > 200_000)
            }
            // Debug builds on a busy machine; a release build needs a few milliseconds (Performance.md).
            #expect(fastest < .milliseconds(500), "\(fastest)")
            for client in clients { client.close() }
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips tests where promtool isn't installed. In CI they run, and fail.
    static var promtool: Self {
        .enabled(
            if: access("/usr/bin/promtool", X_OK) == 0 || ChildProcess.ownEnvironment["CI"] == "true",
            "promtool isn't installed; Debian's package prometheus has it"
        )
    }
}
