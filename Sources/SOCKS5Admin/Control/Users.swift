internal import SOCKS5Server
internal import Text

/// The users' usage of the server.
enum Users {
    static func list(_ call: Call) -> Response {
        var json = JSONWriter()
        json.object { json in
            json.key("users")
            json.array { json in
                for user in call.server.users() {
                    json.object { append(user, to: &$0) }
                }
            }
        }
        return Response(json: json.bytes)
    }

    private static func append(_ user: UserUsage, to json: inout JSONWriter) {
        json.field("user", user.user)
        json.field("sessions", user.sessions)
        json.field("bytes_sent", user.bytesClientToTarget)
        json.field("bytes_received", user.bytesTargetToClient)
        guard let quota = user.quota else { return }
        json.field("quota_bytes", quota.bytes)
        json.field("quota_used_bytes", user.quotaUsed)
    }
}
