internal import SOCKS5Server
internal import Text

/// Taking the server out of service for a while, and back.
enum Drain {
    /// Of the longest drain, in seconds: a week.
    private static let longest = 7 * 24 * 3600

    @Sendable static func state(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        await Query.answering { () throws(Refusal) in
            _ = try Query(request)
            return answer(context)
        }
    }

    @Sendable static func begin(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        await Query.answering { () throws(Refusal) in
            let query = try Query(request, "within")
            let seconds =
                query.text("within") == nil ? nil : try query.number("within", in: 0...longest, else: 0)
            guard context.server.drain(within: seconds.map { .seconds($0) }) else {
                throw Refusal(409, "the server is \(context.server.stage.rawValue); expected it to run")
            }
            return answer(context)
        }
    }

    @Sendable static func cancel(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        await Query.answering { () throws(Refusal) in
            _ = try Query(request)
            guard context.server.cancelDrain() else { throw Refusal(409, "there is no drain to cancel") }
            return answer(context)
        }
    }

    private static func answer(_ context: AdminContext) -> Response {
        var json = JSONWriter()
        json.object { json in
            json.field("state", context.server.stage.rawValue)
            json.field("sessions", context.server.statistics.active)
        }
        return Response(json: json.bytes)
    }
}
