internal import Text

/// The table of sessions in the output of commands.
enum SessionTable {
    private static let columns: [TextTable.Column] = [
        .init(title: "ID", isRight: true), .init(title: "CLIENT"), .init(title: "USER", longest: 20),
        .init(title: "DESTINATION"), .init(title: "STAGE"), .init(title: "AGE", isRight: true),
        .init(title: "IDLE", isRight: true), .init(title: "SENT", isRight: true),
        .init(title: "RECEIVED", isRight: true),
    ]

    /// - Parameter sessions: in the format of `/sessions`.
    static func lines(_ sessions: [JSONValue]) -> [String] {
        var table = TextTable(columns)
        for session in sessions { table.append(cells(session)) }
        return table.lines
    }

    private static func cells(_ session: JSONValue) -> [String] {
        func text(_ key: String) -> String { session[key]?.text ?? "-" }
        func time(_ key: String) -> String {
            session[key]?.integer.map { Units.time(milliseconds: $0) } ?? "-"
        }
        func bytes(_ key: String) -> String { session[key]?.integer.map { Units.bytes($0) } ?? "-" }
        return [
            session["id"]?.integer.map { "\($0)" } ?? "-", endpoint(session, "client_ip", "client_port"),
            text("user"),
            endpoint(session, "destination", "destination_port"), text("stage"), time("age_ms"),
            time("idle_ms"),
            bytes("bytes_sent"), bytes("bytes_received"),
        ]
    }

    private static func endpoint(_ session: JSONValue, _ host: String, _ port: String) -> String {
        guard let host = session[host]?.text else { return "-" }
        guard let port = session[port]?.integer else { return host }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
