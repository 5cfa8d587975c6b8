internal import ArgumentParser
internal import Text

/// `socks5d status`: shows the state of a running server.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how a running server does."
    )

    @OptionGroup var options: AdminOptions

    func show() throws {
        let status = try options.client().ask("GET", "/status.json", [("since", "\(Int64.max)")])
        for line in StatusText.lines(status) { StandardOutput.write(line) }
    }
}

/// `/status.json` as text.
enum StatusText {
    /// Contains only printable ASCII.
    static func lines(_ status: JSONValue) -> [String] {
        var rows: [(String, String)] = [("state", state(status))]
        for listener in status["listeners"]?.items ?? [] {
            rows.append(("listener", "\(text(listener, "name")), \(number(listener, "sessions")) session(s)"))
        }
        rows.append(("sessions", sessions(status)))
        rows.append(("bytes", traffic(status["bytes"]) { Units.bytes($0) }))
        rows.append(("datagrams", traffic(status["datagrams"]) { "\($0)" }))
        rows.append(("dial", dial(status["dial_ms"])))
        rows += counts(status, "outcomes")
        rows += counts(status, "refused")
        rows.append(("logins failed", "\(number(status, "logins_failed"))"))
        rows.append(("bans", "\(number(status, "bans"))"))
        for limit in status["limits"]?.items ?? [] {
            rows.append(
                ("limit", "\(text(limit, "name")) \(number(limit, "used")) of \(number(limit, "limit"))")
            )
        }
        for parent in status["parents"]?.items ?? [] {
            let isUp = parent["up"] == .bool(true)
            rows.append(
                (
                    "parent",
                    "\(text(parent, "name")) \(isUp ? "up" : "down"), \(number(parent, "sessions")) session(s)"
                )
            )
        }
        let lost = number(status, "log_lines_dropped")
        if lost > 0 { rows.append(("log lines lost", "\(lost)")) }
        return rows.map { name, value in
            (name + String(repeating: " ", count: max(1, 16 - name.utf8.count)) + value).printable
        }
    }

    private static func state(_ status: JSONValue) -> String {
        "\(text(status, "state")), socks5d \(text(status, "version")), libuv \(text(status, "libuv")), "
            + "pid \(number(status, "pid")), \(number(status, "workers")) worker(s), since \(text(status, "started"))"
    }

    static func sessions(_ status: JSONValue) -> String {
        guard let sessions = status["sessions"] else { return "-" }
        return
            "\(number(sessions, "running")) of \(number(sessions, "limit")), \(number(sessions, "relaying")) relaying, "
            + "\(number(sessions, "handshakes")) in handshake; \(number(sessions, "accepted")) accepted, "
            + "\(number(sessions, "ended")) ended"
    }

    private static func traffic(_ traffic: JSONValue?, _ unit: (Int) -> String) -> String {
        guard let traffic else { return "-" }
        return "\(unit(number(traffic, "sent"))) sent, \(unit(number(traffic, "received"))) received"
    }

    private static func dial(_ dial: JSONValue?) -> String {
        guard let dial, number(dial, "count") > 0 else { return "none" }
        func time(_ key: String) -> String { dial[key]?.double.map { "\(Int($0.rounded()))" } ?? "-" }
        return "half within \(time("p50")) ms, 90 % within \(time("p90")) ms, 99 % within \(time("p99")) ms"
    }

    /// The counts that aren't 0, on one line.
    private static func counts(_ status: JSONValue, _ key: String) -> [(String, String)] {
        guard case .object(let members)? = status[key] else { return [] }
        let texts = members.filter { $0.value.integer ?? 0 > 0 }.map { "\($0.key) \($0.value.integer ?? 0)" }
        return texts.isEmpty ? [] : [(key, texts.joined(separator: ", "))]
    }

    private static func text(_ value: JSONValue, _ key: String) -> String { value[key]?.text ?? "-" }
    private static func number(_ value: JSONValue, _ key: String) -> Int { value[key]?.integer ?? 0 }
}
