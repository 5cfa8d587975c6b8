internal import Logging
internal import SOCKS5Server
internal import Text

/// The program around the server: its settings and its log.
enum Program {
    static func reload(_ call: Call) async throws(Refusal) -> Response {
        let revokes = try call.query.flag("revoke")
        guard let reload = call.context.actions.reload else {
            throw Refusal(501, "there are no settings to read again")
        }
        switch await reload() {
        case .refused(let reasons):
            let lines = ["not reloaded: everything stays as it was"] + reasons.map(\.escapedForOneLine)
            throw Refusal(422, lines.joined(separator: "\n"))
        case .adopted(let users, let rules, let needingRestart):
            let ended = revokes ? await call.server.endRefused() : nil
            var json = JSONWriter()
            json.object { json in
                json.field("users", users)
                json.field("rules", rules)
                json.field("ended", ended)
                json.key("need_restart")
                json.array { json in for setting in needingRestart { json.string(setting) } }
            }
            return Response(json: json.bytes)
        }
    }

    static func settings(_ call: Call) async throws(Refusal) -> Response {
        guard let settings = call.context.actions.settings else {
            throw Refusal(501, "there are no settings to show")
        }
        var json = JSONWriter()
        let rows = await settings()
        json.object { json in
            json.key("settings")
            json.array { json in
                for row in rows {
                    json.object { json in
                        json.field("key", row.key)
                        json.key("value")
                        json.value((row.value ?? "null").utf8)
                        json.field("origin", row.origin)
                    }
                }
            }
        }
        return Response(json: json.bytes)
    }

    static func logLevel(_ call: Call) throws(Refusal) -> Response {
        guard let level = call.context.actions.logLevel else {
            throw Refusal(501, "the log has no level to show")
        }
        return Response(200, level().rawValue)
    }

    /// The level is given by the body, or by `level` in the query.
    static func setLogLevel(_ call: Call) throws(Refusal) -> Response {
        let body = String(decoding: call.request.body, as: UTF8.self)
        let text = call.query.text("level") ?? body.filter { !$0.isWhitespace }
        guard let level = Logger.Level(rawValue: text.lowercased()) else {
            let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw Refusal(400, "there is no level '\(text.escapedForOneLine)'; expected one of \(levels)")
        }
        guard let set = call.context.actions.setLogLevel else {
            throw Refusal(501, "the log has no level to set")
        }
        let before = call.context.actions.logLevel?()
        // If the log becomes quieter, this is logged before the change, while the log still accepts it.
        let isQuieter = level > (before ?? level)
        if isQuieter { note(level, after: before, call.context.logger) }
        set(level)
        if !isQuieter { note(level, after: before, call.context.logger) }
        return Response(200, level.rawValue)
    }

    private static func note(_ level: Logger.Level, after before: Logger.Level?, _ logger: Logger) {
        var metadata: Logger.Metadata = ["level": "\(level)"]
        if let before { metadata["before"] = "\(before)" }
        logger.notice("log level set", metadata: metadata)
    }
}
