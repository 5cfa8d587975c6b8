internal import SOCKS5Server
internal import Text

/// The table of sessions: lists them, and ends them.
enum Sessions {
    private static let usualLimit = 100
    private static let highestLimit = 1000
    /// The approximate length of a session as JSON.
    private static let usualLength = 640

    static func list(_ call: Call) async throws(Refusal) -> Response {
        let filter = try SessionFilter(call.query)
        let order = try SessionOrder(call.query.text("sort"))
        let limit = try call.query.number("limit", in: 0...highestLimit, else: usualLimit)
        let offset = try call.query.number("offset", in: 0...(1 << 30), else: 0)
        let all = await call.server.sessions()
        let matched = all.filter(filter.matches)
        let ended = await call.server.recentSessions().filter(filter.matches)
        let shown = order.sorted(matched).dropFirst(offset).prefix(limit)
        return Response(json: document(total: all.count, matched: matched.count, Array(shown), ended))
    }

    static func document(total: Int, matched: Int, _ shown: [SessionInfo], _ ended: [SessionInfo]) -> [UInt8]
    {
        var json = JSONWriter(reserving: usualLength * (shown.count + ended.count) + 128)
        var clock = TimestampWriter()
        json.object { json in
            json.field("total", total)
            json.field("matched", matched)
            json.key("sessions")
            json.array { json in for session in shown { SessionDocument.append(session, to: &json, &clock) } }
            json.key("ended")
            json.array { json in for session in ended { SessionDocument.append(session, to: &json, &clock) } }
        }
        return json.bytes
    }

    static func endOne(_ call: Call) async throws(Refusal) -> Response {
        guard let id = call.arguments.first.flatMap({ UInt64($0) }) else {
            throw Refusal(400, "the session is not a number; expected DELETE /sessions/ID")
        }
        guard await call.server.end(id) else { throw Refusal(404, "there is no session \(id)") }
        return Response.counts(("ended", 1))
    }

    static func end(_ call: Call) async throws(Refusal) -> Response {
        let filter = try SessionFilter(call.query)
        let isDryRun = try call.query.flag("dry_run")
        guard !filter.isEmpty else {
            throw Refusal(
                400,
                "a filter is missing; expected user, client, destination or id ('*' for all)"
            )
        }
        let matched = Set(await call.server.sessions().filter(filter.matches).map(\.id))
        let ended = isDryRun ? 0 : await call.server.end(matched)
        return Response.counts(("matched", matched.count), ("ended", ended))
    }
}

extension Response {
    /// An object of numbers.
    static func counts(_ counts: (name: StaticString, count: Int)...) -> Response {
        var json = JSONWriter()
        json.object { json in for (name, count) in counts { json.field(name, count) } }
        return Response(json: json.bytes)
    }
}
