internal import SOCKS5Server
internal import Text

/// What the server is to forget: what users have used, and what names have led to.
enum Forgetting {
    @Sendable static func quota(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        await Query.answering { () throws(Refusal) in
            _ = try Query(request)
            let user = arguments.first ?? ""
            guard context.server.resetQuota(of: Array(user.utf8)) else {
                throw Refusal(404, "user '\(user.escapedForOneLine)' has used nothing of a quota")
            }
            return Response.counts(("reset", 1))
        }
    }

    @Sendable static func names(_ request: Request, _ arguments: [String], _ context: AdminContext) async
        -> Response
    {
        await Query.answering { () throws(Refusal) in
            _ = try Query(request)
            return Response.counts(("forgotten", context.server.forgetNames()))
        }
    }
}
