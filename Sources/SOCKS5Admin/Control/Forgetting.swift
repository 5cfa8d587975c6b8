internal import SOCKS5Server
internal import Text

/// What the server is to forget: what users have used, and what names have led to.
enum Forgetting {
    static func quota(_ call: Call) throws(Refusal) -> Response {
        let user = call.arguments.first ?? ""
        guard call.server.resetQuota(of: Array(user.utf8)) else {
            throw Refusal(404, "user '\(user.escapedForOneLine)' has used nothing of a quota")
        }
        return Response.counts(("reset", 1))
    }

    static func names(_ call: Call) -> Response {
        Response.counts(("forgotten", call.server.forgetNames()))
    }
}
