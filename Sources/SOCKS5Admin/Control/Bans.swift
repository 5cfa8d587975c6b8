internal import SOCKS5Server
internal import Text

/// Sources that are banned after repeated login failures.
enum Bans {
    static func list(_ call: Call) -> Response {
        var json = JSONWriter()
        json.object { json in
            json.key("bans")
            json.array { json in
                for ban in call.server.bans() {
                    json.object { json in
                        json.field("client", ban.client)
                        json.field("seconds_left", ban.remaining.components.seconds)
                    }
                }
            }
        }
        return Response(json: json.bytes)
    }

    static func lift(_ call: Call) throws(Refusal) -> Response {
        guard let client = call.query.text("client") else {
            throw Refusal(400, "the client is missing; expected DELETE /bans?client=ADDRESS")
        }
        guard call.server.liftBan(of: client) else {
            throw Refusal(404, "\(client.escapedForOneLine) isn't banned")
        }
        return Response.counts(("lifted", 1))
    }
}
