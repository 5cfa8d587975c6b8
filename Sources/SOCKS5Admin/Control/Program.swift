internal import Logging
internal import SOCKS5Server
internal import Text

/// The program around the server: its settings and its log.
enum Program {
    @Sendable static func reload(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        await Query.answering { () throws(Refusal) in
            let revokes = try Query(request, "revoke").flag("revoke")
            guard let reload = context.actions.reload else {
                throw Refusal(501, "there are no settings to read again")
            }
            switch await reload() {
            case .refused(let reasons):
                let lines = ["not reloaded: everything stays as it was"] + reasons.map(\.escapedForOneLine)
                throw Refusal(422, lines.joined(separator: "\n"))
            case .adopted(let users, let rules, let needingRestart):
                let ended = revokes ? await context.server.endRefused() : nil
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
    }

    @Sendable static func settings(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        await Query.answering { () throws(Refusal) in
            _ = try Query(request)
            guard let settings = context.actions.settings else {
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
    }

    @Sendable static func logLevel(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        await Query.answering { () throws(Refusal) in
            _ = try Query(request)
            guard let level = context.actions.logLevel else {
                throw Refusal(501, "the log has no level to show")
            }
            return Response(200, level().rawValue)
        }
    }

    /// The level is the body, or `level` of the query.
    @Sendable static func setLogLevel(_ request: Request, _ arguments: [String], _ context: AdminContext)
        async -> Response
    {
        await Query.answering { () throws(Refusal) in
            let body = String(decoding: request.body, as: UTF8.self)
            let text = try Query(request, "level").text("level") ?? body.filter { !$0.isWhitespace }
            guard let level = Logger.Level(rawValue: text.lowercased()) else {
                let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                throw Refusal(400, "there is no level '\(text.escapedForOneLine)'; expected one of \(levels)")
            }
            guard let set = context.actions.setLogLevel else {
                throw Refusal(501, "the log has no level to set")
            }
            set(level)
            return Response(200, level.rawValue)
        }
    }
}
