internal import SOCKS5Server
internal import Text

/// Deletes learned data of the server: the usage of users, and the cached addresses of names.
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
